"""Bento building, parity, the champion's pointer."""
