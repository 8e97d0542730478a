#!/usr/bin/env bash
# The recipe of the model that comes with the package: two folders in LibriSpeech layout, put together, and noise:
#   bash egs/real_small/run.sh --librispeech DIR --more_speech DIR --noise DIR [any option of the top run.sh]
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
exec bash "$(dirname "${BASH_SOURCE[0]}")/../../tools/run_librispeech.sh" real_small librispeech more_speech noise -- "$@"
