"""What trainings minimise: ArcFace, and ratios of signals."""
