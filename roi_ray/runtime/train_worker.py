"""The worker's side of a training on Ray: steps, checkpoints and data parallelism.

A step depends only on its number and on the state before it, and gradients are averaged over the
workers. So a resumed training takes exactly the steps that are left, and another number of workers
changes only the last digits and the time.
"""

import io
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import nn

import roi_ray
from roi_ray.errors import RoiRayError, StorageUnavailable, UsageError
from roi_ray.runtime.memory import keep_freed_memory

if TYPE_CHECKING:
    from ray.train import Checkpoint
    from ray.util.queue import Queue

State = dict[str, Any]
Item = TypeVar("Item")

_STATE_FILE = "state.pt"


class Training(Protocol):
    """A training that runs the same steps on every worker."""

    steps: int

    def step(self, number: int) -> dict[str, float]:
        """Take step `number`, counted from 0, and return its losses by name."""

    def state(self) -> State:
        """Return everything that later steps depend on: tensors, numbers and containers of them."""

    def load(self, state: State) -> None:
        """Restore a state that `state` returned."""


class ModuleTraining(ABC):
    """A training whose whole state is that of its networks and optimisers."""

    @abstractmethod
    def modules(self) -> Mapping[str, "nn.Module | torch.optim.Optimizer"]:
        """Return the networks and optimisers by name."""

    def state(self) -> State:
        """Return the state dicts of all networks and optimisers."""
        return {name: module.state_dict() for name, module in self.modules().items()}

    def load(self, state: State) -> None:
        """Restore a state that `state` returned."""
        for name, module in self.modules().items():
            module.load_state_dict(state[name])


@dataclass(frozen=True)
class WorkerJob:
    """The job that the driver gives to each worker.

    Attributes:
        make_training: builds the training.
        checkpoint_every: steps between checkpoints.
        threads: CPU threads of the worker.
        lines: receives the progress, a line of text per checkpoint.
        errors: receives the `RoiRayError` that stops a worker, which Ray would retry in vain.
    """

    make_training: Callable[[], Training]
    checkpoint_every: int
    threads: int
    lines: "Queue"
    errors: "Queue"


def run_worker(config: dict[str, WorkerJob]) -> None:
    """Run the training on one worker.

    Args:
        config: Ray Train's configuration, with the job as `job`.

    Raises:
        StorageUnavailable: a failure that may pass, so Ray retries from the last checkpoint.
        RoiRayError: another error of this package; it is also in the job's `errors`.
    """
    import ray.train

    job = config["job"]
    if not job.errors.empty():
        return  # Ray retries a run that has failed for good.
    try:
        _run_steps(job)
    except StorageUnavailable:
        raise
    except RoiRayError as error:
        job.errors.put(error)
        # Only a failure stops the other workers, which wait for this one's gradients.
        if ray.train.get_context().get_world_size() > 1:
            raise


def rank_and_world_size() -> tuple[int, int]:
    """Return this worker's rank, counted from 0, and the number of workers: (0, 1) without Ray."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def select_local_batch(batch: Sequence[Item]) -> Sequence[Item]:
    """Return this worker's part of a step's batch.

    Raises:
        UsageError: the batch cannot be split evenly. Averaging gradients over the workers equals
            averaging over the batch only if all parts are of one size.
    """
    rank, world_size = rank_and_world_size()
    if len(batch) % world_size:
        raise UsageError(f"a batch of {len(batch)} cannot be divided among {world_size} workers")
    size = len(batch) // world_size
    return batch[rank * size : (rank + 1) * size]


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the workers.

    DistributedDataParallel does not suit two networks that are trained against each other, because
    each of them also receives gradients from the other's loss.
    """
    _, world_size = rank_and_world_size()
    if world_size == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world_size
    nn.utils.vector_to_parameters(flat, gradients)


def read_checkpoint(checkpoint: "Checkpoint") -> State:
    """Read a checkpoint's state, with the number of steps taken as `step`, onto the CPU."""
    with checkpoint.as_directory() as folder:
        data = (Path(folder) / _STATE_FILE).read_bytes()
    # weights_only, because other people may be able to write to the folder of checkpoints.
    state: State = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    return state


def _run_steps(job: WorkerJob) -> None:
    import ray.train

    torch.set_num_threads(job.threads)
    # Each step allocates tens of megabytes for its batch.
    keep_freed_memory()
    training = job.make_training()
    is_rank_zero = ray.train.get_context().get_world_rank() == 0
    first_step = 0
    if (checkpoint := ray.train.get_checkpoint()) is not None:
        state = read_checkpoint(checkpoint)
        first_step = state.pop("step")
        training.load(state)
        if is_rank_zero:
            job.lines.put(f"resumes from step {first_step}")
    start, losses = time.monotonic(), list[dict[str, float]]()
    for number in range(first_step, training.steps):
        losses.append(training.step(number))
        done = number + 1
        if done % job.checkpoint_every and done < training.steps:
            continue
        means = _mean_losses(losses)
        losses.clear()
        with tempfile.TemporaryDirectory() as folder:
            saved = None
            if is_rank_zero:
                text = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
                seconds = time.monotonic() - start
                job.lines.put(f"step {done}/{training.steps}  {text}  {seconds:.0f} s")
                torch.save({"step": done, **training.state()}, Path(folder) / _STATE_FILE)
                saved = ray.train.Checkpoint.from_directory(folder)
                # For people who look into the folder; resuming does not depend on it.
                saved.set_metadata({"roi_ray": roi_ray.__version__, "torch": torch.__version__})
            ray.train.report({"step": done, **means}, checkpoint=saved)


def _mean_losses(losses: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average the losses of several steps; a loss may be missing from the earlier ones."""
    values = {name: [each[name] for each in losses if name in each] for name in losses[-1]}
    return {name: sum(each) / len(each) for name, each in values.items()}
