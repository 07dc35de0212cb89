"""Rows made in shards, on processes, Dask or Ray, resumed after a kill."""
