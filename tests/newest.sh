#!/usr/bin/env bash
# The newest versions that setup.py allows, in an empty folder of their own: imports and smoke tests. For maintainers,
# before `bash tools/lock.sh` renews the lock; continuous integration does not run it.
#   bash tests/newest.sh [any option of pytest]
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset VIRTUAL_ENV CONDA_PREFIX
export WESEP_MIX_NEWEST=1 WESEP_MIX_VENV=$folder/venv
env_extra="test"
. ./path.sh

[ $# -gt 0 ] || set -- tests/unit/base/test_torch_pair.py tests/unit/models \
    tests/contract/test_models.py tests/recipe/test_recipe.py
status=0
python -m pytest -c tests/pytest.ini -q "$@" || status=$?
python -m wesep_mix.base.installed
exit "$status"
