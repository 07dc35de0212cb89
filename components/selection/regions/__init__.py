"""Where the errors are, found on one half and tested on the other."""
