"""Audio, embeddings and weights to and from files."""
