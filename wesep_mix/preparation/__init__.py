"""Stage 1's first half: a corpus becomes lists of utterances and noises, each examined once."""
