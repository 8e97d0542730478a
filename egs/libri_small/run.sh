#!/usr/bin/env bash
# The recipe at small settings on any folder in LibriSpeech layout; its speakers are split into train, dev and test:
#   bash egs/libri_small/run.sh --librispeech DIR [--noise DIR] [any option of the top run.sh]
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
exec bash "$(dirname "${BASH_SOURCE[0]}")/../../tools/run_librispeech.sh" libri_small librispeech noise -- "$@"
