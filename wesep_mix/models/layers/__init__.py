"""Parts that several networks share and papers name."""
