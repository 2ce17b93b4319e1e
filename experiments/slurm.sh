#!/bin/bash
# robsynth on a Slurm cluster, from an environment that has it; submitted again it goes on.
#   sbatch experiments/slurm.sh COMMAND [KEY=VALUE ...]                      two processes of four cores on CPUs
#   sbatch --gpus-per-task=1 --cpus-per-task=8 --ntasks-per-node=4 --nodes=2 experiments/slurm.sh COMMAND ...
# What is given to sbatch comes before the lines below, and so do its variables, e.g. SBATCH_GPUS_PER_TASK=1. A process
# has one GPU, which is all that it sees: --ntasks-per-node is the number of GPUs of a node.
#SBATCH --job-name=robsynth
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=4
#SBATCH --output=robsynth-%j.log
# Two minutes before the time is up: a training finishes its step and writes its checkpoint.
#SBATCH --signal=TERM@120
# A process that fails must not leave the others waiting.
exec srun --kill-on-bad-exit=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" \
    ${SLURM_GPUS_PER_TASK:+--gpus-per-task="$SLURM_GPUS_PER_TASK"} robsynth "$@" trainer=multinode
