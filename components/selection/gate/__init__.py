"""The certified decision: evidence in, claims tested, PROMOTE, HOLD or REJECT out."""
