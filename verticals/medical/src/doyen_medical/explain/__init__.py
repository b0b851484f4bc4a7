"""Why a disease stands where it stands, computed: support and contradiction by finding, sources, the next question."""
