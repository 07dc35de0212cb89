"""The built-in customers' photos: another renderer, other variants, rooms, clutter, a phone camera."""
