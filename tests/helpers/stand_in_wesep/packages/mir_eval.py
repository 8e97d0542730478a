"""Stands in for mir_eval, which WeSep imports."""
