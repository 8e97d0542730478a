"""Mixture -> every talker, without embeddings: one file a separator."""
