"""The families of networks that can be trained here, and how one holds another."""
