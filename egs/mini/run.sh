#!/usr/bin/env bash
# The generated mini corpus: synthetic voices and noises, no data needed. Takes all options of the top run.sh.
exec bash "$(dirname "${BASH_SOURCE[0]}")/../../run.sh" --corpus mini "$@"
