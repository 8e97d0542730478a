"""The paper's own idea: a set of embeddings without order, and which of them is whose."""
