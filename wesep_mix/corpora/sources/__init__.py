"""What corpora are read from or made of: folders of speech and noise, their splits, and what is wrong with them."""
