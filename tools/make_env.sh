#!/usr/bin/env bash
# Finds or makes the Python environment and prints its folder: `env_dir=$(bash tools/make_env.sh [test])`.
#
# An active virtual or conda environment that has all packages is used as it is. Otherwise .venv here, or
# $WESEP_MIX_VENV, is made, or completed after an interruption, from setup.py with pip, whose own settings
# (PIP_INDEX_URL, ...) apply; `test` adds the packages of the tests. Nothing is ever installed into an
# environment made by others: a stamp marks ours. It also says what is installed: no Python start to check it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

extra=${1:-}
modules=(torch torchaudio lightning transformers speechbrain tensorboard numpy scipy sklearn yaml kaldiio soundfile
    webrtcvad pyloudnorm pesq pystoi espeakng_loader matplotlib speechmos onnxruntime tqdm)
# Of these only the files are read, they are not imported: installed without what they say they need (old, or large),
# and not asked of an environment made by others, where the one front-end that reads them says how to get them.
files_of=(resemblyzer)
[ -z "$extra" ] || modules+=(pytest pytest_timeout xdist)
env_dir=${WESEP_MIX_VENV:-$PWD/.venv}
env_dir=${env_dir%/}
[[ $env_dir == /* ]] || env_dir=$PWD/$env_dir
stamp=$env_dir/wesep_mix.stamp
log=$env_dir/pip.log

say() { echo "environment: $*" >&2; }
die() { say "$@" && exit 1; }

wanted() { echo "${extra:-run} $(cksum <setup.py) ${files_of[*]} $(readlink -f "$env_dir/bin/python")"; }

complete() { [ -x "$env_dir/bin/python" ] && grep -qsxF "$(wanted)" "$stamp"; }

use_if_whole() {  # ENV_DIR: prints it and ends if it has every package (looked up, not imported: fast)
    local lacks
    [ -x "$1/bin/python" ] || return 0
    lacks=$("$1/bin/python" -c 'import sys; from importlib.util import find_spec
print(", ".join(name for name in sys.argv[1:] if not find_spec(name)))' "${modules[@]}") || return 0
    [ -n "$lacks" ] || { echo "$1" && exit 0; }
    say "$1 is not used, it lacks $lacks"
}

python_problem() {  # COMMAND: says why this Python cannot make the environment; nothing if it can
    "$1" -c 'import os, sys, sysconfig
found = "%d.%d" % sys.version_info[:2]
if sys.version_info < (3, 10):
    sys.exit("is Python " + found)
try:
    import ensurepip, venv
except ImportError:
    sys.exit("has no venv module (Debian, Ubuntu: apt install python%s-venv)" % found)
if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
    sys.exit("has no C headers (Debian, Ubuntu: apt install python%s-dev)" % found)' 2>&1 | tail -n 1
}

find_python() {  # prints the first Python that can make the environment
    local name problem problems="" candidates=(python3 python3.{10..14})
    [ -z "${WESEP_MIX_PYTHON:-}" ] || candidates=("$WESEP_MIX_PYTHON")
    for name in "${candidates[@]}"; do
        "$name" -c "" >/dev/null 2>&1 || continue  # not there
        problem=$(python_problem "$name") || true
        [ -n "$problem" ] || { echo "$name" && return; }
        problems+="$name $problem; "
    done
    die "${problems:-${candidates[0]} does not run; }Python 3.10 or newer, with venv and C headers, is" \
        "needed: install it, or set WESEP_MIX_PYTHON=/path/to/python"
}

make_venv() {  # an empty environment of ours; one whose Python has gone is made again
    local python
    "$env_dir/bin/python" -m pip --version >/dev/null 2>&1 && return
    python=$(find_python)
    mkdir -p "$env_dir" && echo "unfinished" >"$stamp"
    find "$env_dir/" -mindepth 1 ! -name "$(basename "$stamp")" -delete
    "$python" -m venv "$env_dir" >"$log" 2>&1 || die "$python -m venv $env_dir failed: $(tail -n 1 "$log")"
}

install() {  # [PIP OPTION...]
    : >"$log"
    pip_install --use-pep517 "$@" -e ".${extra:+[$extra]}" && pip_install --no-deps "$@" "${files_of[@]}"
}

pip_install() {  # ARGUMENT...: everything into the log, one short line a package to the terminal
    # PIP_USER=0: a user's `pip config set global.user true` cannot work inside a virtual environment.
    PIP_USER=0 "$env_dir/bin/python" -m pip install "$@" 2>&1 | tee -a "$log" | while IFS= read -r line; do
        case "$line" in Collecting* | Building* | Installing*) echo "  ${line:0:76}" >&2 ;; esac
    done
}

imports() {  # whether all import, or are there where only their files are read
    { printf 'import %s\n' importlib.util "${modules[@]}" &&
        printf 'assert importlib.util.find_spec("%s")\n' "${files_of[@]}"; } |
        (cd "$env_dir" && bin/python -) >>"$log" 2>&1
}

failed() {  # WHAT
    tail -n 15 "$log" >&2
    die "$1 (see above, all of it in $log): mend the cause, the same command then goes on from here"
}

made_by_others=("${VIRTUAL_ENV:-}" "${CONDA_PREFIX:-}")
[ -z "${WESEP_MIX_VENV:-}" ] || made_by_others=("$env_dir")
for candidate in "${made_by_others[@]}"; do
    [ "$candidate/wesep_mix.stamp" -ef "$stamp" ] || use_if_whole "$candidate"
done
complete && echo "$env_dir" && exit 0

if [ -e "$env_dir" ] && [ ! -e "$stamp" ] && [ -n "$(ls -A "$env_dir")" ]; then
    die "$env_dir was not made by this recipe, nothing is installed into it: activate it if it has the" \
        "packages, remove it, or set WESEP_MIX_VENV to a new folder"
fi
trap 'say "interrupted: the same command goes on from here"; exit 130' INT
{ mkdir -p "$(dirname "$env_dir")" && : >>"$env_dir.lock"; } 2>/dev/null ||
    die "cannot write to $(dirname "$env_dir"): set WESEP_MIX_VENV=DIR to put the environment elsewhere"
if command -v flock >/dev/null; then
    exec 9>"$env_dir.lock"
    flock -n 9 || { say "another call is making $env_dir: waiting for it" && flock 9; }
    complete && echo "$env_dir" && exit 0
fi

command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null ||
    die "no C compiler: pesq is built from source, so install one (Debian, Ubuntu: apt install gcc)"
make_venv
say "installing what is missing into $env_dir (all of it: some minutes and 5.3 GB; log: $log)"
install || failed "pip failed"
# A package cut off by an interrupted installation can pass for installed: install all of them once more.
if ! imports; then
    say "the packages do not import: installing them again"
    install --force-reinstall && imports || failed "the installed packages do not import"
fi
{ extra="" && wanted && extra=${1:-} && wanted; } >"$stamp"
say "ready: $env_dir"
echo "$env_dir"
