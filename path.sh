# The environment of this machine: the only file to edit on a new one. Sourced by run.sh and tests/run.sh, and
# by hand (`. ./path.sh`) for a shell in which `python` is the recipe's.
#
# Where Python or the CUDA driver come as modules (Slurm clusters):
#   module load python/3.11 gcc
# With a conda environment that has the packages of setup.py (it is used as it is, nothing is installed):
#   source ~/miniconda3/etc/profile.d/conda.sh && conda activate wesep_mix
# The environment on another disk (6.1 GB), or made by another Python:
#   export WESEP_MIX_VENV=/scratch/$USER/wesep_mix_venv
#   export WESEP_MIX_PYTHON=/opt/python3.12/bin/python3

env_dir=$(bash tools/make_env.sh "${env_extra:-}") || return $?
[ "$env_dir" = "${CONDA_PREFIX:-}" ] || export VIRTUAL_ENV="$env_dir"
export PATH="$env_dir/bin:$PATH"
# Threads that wait for each other sleep: where cores are shared with other work, those that spin instead made extraction
# take 5 to 15 times the CPU time; on idle cores nothing is lost.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
export MPLBACKEND=agg  # a notebook's own is unknown outside it
id -un >/dev/null 2>&1 || export USER="${USER:-uid$(id -u)}"  # a container's user without a name; libraries ask for it
export PYTHONUNBUFFERED=1  # lines reach the terminal and log files when they are written
# Freed memory is kept, not given back at once: a training step took 12 and 25 % less CPU time in two trials.
export MALLOC_TOP_PAD_=268435456 MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967296
# Small freed pieces join their neighbours at once, else no tensor fits where the one before it lay: a training step of
# SpEx+ held 1.16 GB instead of 1.58 in the same time.
export GLIBC_TUNABLES="${GLIBC_TUNABLES:+$GLIBC_TUNABLES:}glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0"
