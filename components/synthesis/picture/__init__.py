"""From a scene to a file: camera, encoding, the factors on record."""
