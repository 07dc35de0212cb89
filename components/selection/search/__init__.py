"""A nested family searched within limits, and what the search found."""
