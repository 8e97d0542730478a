# Job wrappers of this site. Sourced by run.sh where neither --cmd nor --train_cmd is given; empty: all runs here.
# cmd runs stages 1, 4, 6, 7 and 8 as --nj jobs, train_cmd each training of stages 2, 3 and 5 as one; without train_cmd,
# cmd does that too.
#
# Slurm; partitions and accounts are written in conf/slurm.conf:
#   cmd="tools/slurm.py --mem 4G --time 2:00:00"
#   train_cmd="tools/slurm.py --mem 16G --time 24:00:00"
# SGE, with Kaldi's queue.pl:
#   cmd="queue.pl --mem 4G"
#   train_cmd="queue.pl --mem 16G"
# This machine, with Kaldi's run.pl or ours:
#   cmd="run.pl --max-jobs-run 4"
#   cmd="tools/run_local.py --max-jobs-run 4"

cmd=
train_cmd=
