#!/usr/bin/env bash
# All tests, in the recipe's environment with the test extras, file by file over all cores (8 at most). With arguments,
# which go to pytest, one after the other: tests/run.sh -x -k plan
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
env_extra="test"
. ./path.sh
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
[ $# -gt 0 ] || set -- -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder  # those of recipe take longest
exec python -m pytest -c tests/pytest.ini "$@"
