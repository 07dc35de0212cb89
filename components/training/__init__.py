"""Fits networks."""
