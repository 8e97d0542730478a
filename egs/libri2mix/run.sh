#!/usr/bin/env bash
# The paper's recipe with two talkers; see README.md beside this file for what it needs:
#   bash egs/libri2mix/run.sh --librispeech DIR --musan DIR --wham DIR [--librimix_metadata DIR] [any option of run.sh]
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
exec bash "$(dirname "${BASH_SOURCE[0]}")/../../tools/run_librispeech.sh" libri2mix \
    librispeech musan wham librimix_metadata -- "$@"
