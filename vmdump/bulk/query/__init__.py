"""Queries over the output directory of vmdump bulk."""
