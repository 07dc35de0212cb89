"""A nested family trained at once."""
