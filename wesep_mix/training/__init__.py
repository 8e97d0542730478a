"""Stages 2, 3 and 5: from settings to model.pt."""
