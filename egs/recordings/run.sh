#!/usr/bin/env bash
# Any folder of recordings without sources, and a trained model: who is heard in them, and how it sounds:
#   bash egs/recordings/run.sh --recordings DIR [--model small] [--enrolments DIR] [any option of its --help]
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
exec bash "$(dirname "${BASH_SOURCE[0]}")/../../tools/run_recordings.sh" recordings "$@"
