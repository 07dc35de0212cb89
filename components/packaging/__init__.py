"""Builds the Bento and proves that it answers like the evaluated model."""
