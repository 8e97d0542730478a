"""Audio, embeddings, segments of speech and weights to and from files."""
