"""Manifests from sources, decoded images, torch datasets."""
