"""Mixture-to-set speaker embeddings and the speech extraction they condition (arXiv 2604.03219)."""

__version__ = "0.1.0"
