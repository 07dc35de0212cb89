"""Makes labelled images from catalogue pictures and models."""
