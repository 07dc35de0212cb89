"""Products: which of a catalogue's products is on a customer's photo."""
