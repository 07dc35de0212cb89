"""The basis of all light, the lamps drawn in it, light read off pictures."""
