"""Plugins: which talker of a long recording each embedding is, window by window, from memory alone."""
