"""A workload for Detent: are these two photos of the same person? Read workload.py first."""
