"""Lists become plans, plain text that describes a mixture completely, and plans become audio."""
