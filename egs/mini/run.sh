#!/usr/bin/env bash
# The generated mini corpus: synthetic voices and noises, no data needed. Takes all options of the top run.sh.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
exec bash "$(dirname "${BASH_SOURCE[0]}")/../../run.sh" --corpus mini "$@"
