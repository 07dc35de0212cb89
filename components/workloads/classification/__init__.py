"""The kit of workloads that name what is on a picture: judging, class checks, family search."""
