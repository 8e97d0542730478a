"""The paper's tables: rows as calls of the stages, over seeds, and what they come to."""
