"""Values and errors that every layer shares; needs only the standard library, numpy, pyarrow and pydantic."""
