#!/bin/bash
# sbatch experiments/slurm.sh COMMAND [KEY=VALUE ...]   robsynth on a Slurm cluster, from an environment that has it.
# A process a GPU: --ntasks-per-node is the number of GPUs of a node (--gpus-per-node). Submitted again it goes on.
#SBATCH --job-name=robsynth
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=1
#SBATCH --output=robsynth-%j.log
# Two minutes before the time is up: a training finishes its step and writes its checkpoint.
#SBATCH --signal=TERM@120
# A process that fails must not leave the others waiting.
exec srun --kill-on-bad-exit=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" robsynth "$@" trainer=multinode
