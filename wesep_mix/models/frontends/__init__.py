"""Waveform -> frames: one file a front-end."""
