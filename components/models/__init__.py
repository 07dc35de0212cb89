"""Network families, artefacts, batched prediction."""
