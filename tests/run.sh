#!/usr/bin/env bash
# All tests, in the recipe's environment with the test extras. Arguments go to pytest: tests/run.sh -x -k plan
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
env_extra="test"
. ./path.sh
# testpaths: all of them, unless the arguments name some
exec python -m pytest -o testpaths=tests "$@"
