"""Who has looked at which certify split, what it cost, and what is left."""
