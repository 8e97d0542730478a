"""Stands in for tableprint, which WeSep imports."""
