"""What a release is made of: plain functions that run without Prefect."""
