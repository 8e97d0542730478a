"""Mixture -> set of embeddings: one file a student."""
