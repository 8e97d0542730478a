"""Lists become plans, plain text that says all of a mixture, and plans become audio."""
