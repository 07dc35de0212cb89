"""The demo's own world: a catalogue built from parts, and customers who photograph it."""
