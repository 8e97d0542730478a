#!/usr/bin/env bash
# Ends the Slurm that start.sh has started in DIR: `stop.sh DIR`.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
set -uo pipefail
dir=$1
export SLURM_CONF=$dir/slurm.conf
scancel --user root 2> /dev/null
for file in "$dir"/slurmd.pid "$dir"/slurmctld.pid "$dir"/munge/pid; do
    pid=$(cat "$file" 2> /dev/null) || continue
    kill "$pid" 2> /dev/null
    for _ in $(seq 100); do kill -0 "$pid" 2> /dev/null && sleep 0.1; done
done
exit 0
