#!/usr/bin/env bash
# The development set of DNS-Challenge 5, real clips with an enrolment each, and a trained model; see README.md:
#   bash egs/dns5/run.sh --dns5 DIR --model exp/libri2mix [any option of its --help]
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
exec bash "$(dirname "${BASH_SOURCE[0]}")/../../tools/run_recordings.sh" dns5 "$@"
