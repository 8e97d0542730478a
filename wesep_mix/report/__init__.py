"""Stage 9: results.json, RESULTS.md and plots of one experiment."""
