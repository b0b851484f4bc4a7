"""The benchmarks that the vertical is measured by."""
