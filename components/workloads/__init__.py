"""What Detent is run on: a package a workload, found by name in `registry`."""
