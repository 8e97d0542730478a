"""Mixture and embedding -> that talker's speech: one file an extractor."""
