"""Pastes: cut-outs of catalogue pictures composed on backgrounds."""
