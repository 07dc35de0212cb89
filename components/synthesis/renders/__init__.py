"""Catalogue renders: parametric product models and the studio that photographs them."""
