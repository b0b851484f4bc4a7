"""Which passages say that a disease has a finding: retrieved, cited by id, and checked."""
