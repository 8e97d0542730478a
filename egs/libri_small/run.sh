#!/usr/bin/env bash
# The recipe at small settings on any folder in LibriSpeech layout; its speakers are split into train, dev and test:
#   bash egs/libri_small/run.sh --librispeech DIR [--noise DIR] [any option of the top run.sh]
exec bash "$(dirname "${BASH_SOURCE[0]}")/../../tools/run_librispeech.sh" libri_small librispeech noise -- "$@"
