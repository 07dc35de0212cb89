"""Customers' photos: a generator of its own, kept apart from the one that makes training images."""
