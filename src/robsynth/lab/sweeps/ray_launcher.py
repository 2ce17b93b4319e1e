"""Ray as one of Hydra's launchers: hydra-ray-launcher 1.2.2 does not install beside cloudpickle 3."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict


class RayLauncher(Launcher):
    """Each job a task of a Ray cluster, at most `jobs` of them at once."""

    def __init__(self, jobs: int, cpus: int, gpus: int, address: str | None) -> None:
        self.jobs, self.cpus, self.gpus, self.address = jobs, cpus, gpus, address

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        import ray

        room = {} if self.address else {"num_cpus": self.jobs * self.cpus, "num_gpus": self.jobs * self.gpus}
        ray.init(address=self.address, include_dashboard=None if self.address else False, log_to_driver=False,
                 configure_logging=False, **room)  # type: ignore[arg-type]  # fmt: skip
        try:
            job = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=0)(_job)
            shared = ray.put((self.hydra_context, self.task_function, self.config, Singleton.get_state()))
            waiting = list(enumerate(job_overrides, initial_job_idx))
            running: list[Any] = []
            references: list[Any] = []
            while waiting or running:
                while waiting and len(running) < self.jobs:
                    number, overrides = waiting.pop(0)
                    references.append(job.remote(shared, number, list(overrides)))
                    running.append(references[-1])
                _, running = ray.wait(running)
            return ray.get(references)
        finally:
            ray.shutdown()


def _job(shared: tuple[Any, ...], number: int, overrides: list[str]) -> JobReturn:
    hydra_context, task_function, config, singletons = shared
    setup_globals()
    Singleton.set_state(deepcopy(singletons))
    own = hydra_context.config_loader.load_sweep_config(config, overrides)
    with open_dict(own):
        own.hydra.job.id, own.hydra.job.num = f"job_{number}", number
    return run_job(hydra_context=hydra_context, config=own, task_function=task_function, job_dir_key="hydra.sweep.dir",
                   job_subdir_key="hydra.sweep.subdir")  # fmt: skip
