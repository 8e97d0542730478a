#!/usr/bin/env bash
# The paper's recipe with three talkers, on the lists and the teacher of libri2mix; needs are in its README.md:
#   bash egs/libri3mix/run.sh --librispeech DIR --musan DIR --wham DIR [--librimix_metadata DIR] [any option of run.sh]
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
exec bash "$(dirname "${BASH_SOURCE[0]}")/../../tools/run_librispeech.sh" libri3mix \
    librispeech musan wham librimix_metadata -- "$@"
