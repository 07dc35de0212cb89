"""The stages that a workload of classes has of its own: a module each, so that each has a code of its own."""
