"""Checks a manifest before anything is made of it."""
