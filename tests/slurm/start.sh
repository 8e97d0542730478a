#!/usr/bin/env bash
# A Slurm of one node, this machine, for tests: `start.sh DIR` starts it with all its files in DIR, and prints the line
# that points commands to it; `stop.sh DIR` ends it. Installs slurm-wlm and munge where apt-get can (root on Debian).
# Status 3 where it cannot be had here.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # run as `sh FILE`, which may be another shell
set -euo pipefail
dir=$1
name=$(hostname -s)
if ! command -v slurmctld munged slurmd > /dev/null; then
    [ "$(id -u)" -eq 0 ] && command -v apt-get > /dev/null || exit 3
    export DEBIAN_FRONTEND=noninteractive
    { timeout 60 apt-get -qq update && timeout 120 apt-get -qq install -y --no-install-recommends slurm-wlm munge; } \
        > /dev/null 2>&1 || exit 3
fi
[ "$(id -u)" -eq 0 ] || exit 3  # munged runs as its own user, slurmd starts jobs
mkdir -p "$dir"/{state,spool,munge}
head -c 1024 /dev/urandom > "$dir/munge/key"
chown -R munge "$dir/munge" && chmod 700 "$dir/munge" && chmod 400 "$dir/munge/key"
socket=$dir/munged/socket
mkdir -p "$dir/munged" && chown munge "$dir/munged" && chmod 755 "$dir/munged" "$dir"  # others may look for the socket
setpriv --reuid munge --regid munge --clear-groups munged --key-file "$dir/munge/key" --socket "$socket" \
    --pid-file "$dir/munge/pid" --log-file "$dir/munge/log" --seed-file "$dir/munge/seed" --force
cat > "$dir/slurm.conf" << END
ClusterName=one
SlurmctldHost=$name(127.0.0.1)
SlurmctldPort=$((20000 + RANDOM % 10000))
SlurmdPort=$((30000 + RANDOM % 10000))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
MpiDefault=none
KillWait=30
MinJobAge=60
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=$name NodeAddr=127.0.0.1 CPUs=$(env -u OMP_NUM_THREADS nproc) RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
END
export SLURM_CONF=$dir/slurm.conf
slurmctld && slurmd
for _ in $(seq 100); do
    [ "$(sinfo -h -o %t 2> /dev/null)" != idle ] || break
    sleep 0.2
done
[ "$(sinfo -h -o %t)" = idle ] || { cat "$dir"/slurm*.log >&2 && exit 1; }
echo "export SLURM_CONF=$dir/slurm.conf"
