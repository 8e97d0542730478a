#!/usr/bin/env bash
# What this machine's GPU makes of the trainings, in at most 12 minutes, to benchmarks/GPU.md; without a GPU the same at
# toy size on the CPU, printed only. Options: `bash benchmarks/gpu.sh --help`. gpu.py says what is measured and how.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
set -euo pipefail
start=$EPOCHSECONDS
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. ./path.sh
exec python benchmarks/gpu.py --start "$start" "$@"
