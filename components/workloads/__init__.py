"""What Detent is run on: one module a workload."""
