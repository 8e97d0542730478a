"""Networks, one file a model, in a folder a kind; what each kind owes (contracts), and model files (checkpoint)."""
