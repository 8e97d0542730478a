"""Mixtures as torch datasets and batches."""
