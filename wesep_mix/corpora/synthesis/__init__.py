"""Speech and noise made by the toolkit itself: voices, texts, espeak-ng, noises."""
