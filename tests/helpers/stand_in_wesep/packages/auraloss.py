"""Stands in for auraloss, which WeSep imports."""
