#!/bin/bash
# A Slurm of one node on this machine, without systemd, for tests:  one_node.sh install | start DIR | stop DIR
#
# `install` gets Debian's packages (as root). `start` writes DIR/slurm.conf and starts munged, slurmctld and slurmd; point
# SLURM_CONF at that file. `stop` ends what `start` started, by the process ids in DIR, and nothing else.
set -euo pipefail

install() {
  if command -v sbatch squeue srun scancel munged /usr/sbin/slurmctld /usr/sbin/slurmd > /dev/null; then return; fi
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q slurm-wlm munge
}

configure() {
  local home=$1 name
  name=$(hostname -s)
  mkdir -p "$home/state" "$home/spool"
  # Two CPUs whatever the machine has: a third job of one CPU must wait. A requeued job may start again after cred_expire.
  cat > "$home/slurm.conf" <<CONF
ClusterName=onenode
SlurmctldHost=$name(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
SlurmctldPort=16817
SlurmdPort=16818
SlurmctldPidFile=$home/slurmctld.pid
SlurmdPidFile=$home/slurmd.pid
SlurmctldLogFile=$home/slurmctld.log
SlurmdLogFile=$home/slurmd.log
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=10
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=$name NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=work Nodes=$name Default=YES MaxTime=60 PriorityTier=1 State=UP
PartitionName=urgent Nodes=$name MaxTime=60 PriorityTier=2 State=UP
CONF
}

start() {
  local home=$1
  configure "$home"
  export SLURM_CONF="$home/slurm.conf"
  if ! munge -n > /dev/null 2>&1; then
    mkdir -p /run/munge /var/log/munge
    chown munge: /run/munge /var/log/munge
    runuser -u munge -- /usr/sbin/munged
    cp /run/munge/munged.pid "$home/munged.pid"
  fi
  /usr/sbin/slurmctld
  /usr/sbin/slurmd
  for _ in $(seq 100); do
    if sinfo --noheader --format=%t 2> /dev/null | grep -q idle; then return; fi
    sleep 0.2
  done
  echo "the node did not become idle; see $home/slurmctld.log and $home/slurmd.log" >&2
  exit 1
}

stop() {
  local home=$1 name pid
  SLURM_CONF="$home/slurm.conf" scancel --full --state=RUNNING --user=root 2> /dev/null || true
  for name in slurmd slurmctld munged; do
    if [ -f "$home/$name.pid" ]; then
      pid=$(cat "$home/$name.pid")
      kill "$pid" 2> /dev/null || true
      for _ in $(seq 50); do kill -0 "$pid" 2> /dev/null || break; sleep 0.2; done
    fi
  done
}

"$@"
