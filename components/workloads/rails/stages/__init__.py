"""The stages that every workload shares: a light module each, so that each has a code of its own."""
