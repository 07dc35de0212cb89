"""Records who let which model through."""
