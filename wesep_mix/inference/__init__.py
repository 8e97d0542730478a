"""Stages 4 and 6: embeddings and speech from trained models."""
