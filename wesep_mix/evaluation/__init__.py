"""Stages 7 and 8: scores of extracted speech, clustering and verification of embeddings, controls."""
