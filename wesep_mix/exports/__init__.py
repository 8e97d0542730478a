"""Prepared mixtures in the formats of other toolkits: one file a format, each a `Config` and an `export(job)`."""
