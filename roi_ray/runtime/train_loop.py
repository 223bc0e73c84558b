"""Runs a training on Ray Train: any number of workers, checkpoints, resumed where it was killed.

What a step sees depends on its number alone, and gradients are averaged over the workers. So a
resumed training takes the very steps that it would have taken, and the number of workers changes
nothing but the last digits and the time.
"""

import hashlib
import io
import json
import os
import tempfile
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import nn

import roi_ray
from roi_ray.errors import RoiRayError, StorageUnavailable, WeightsError
from roi_ray.io import storage
from roi_ray.runtime.cluster import connect
from roi_ray.runtime.memory import keep_freed_memory

if TYPE_CHECKING:
    from ray.data import Dataset
    from ray.train import Checkpoint
    from ray.util.queue import Queue

State = dict[str, Any]
Item = TypeVar("Item")

_FILE = "state.pt"
_RETRIES = 3


class Training(Protocol):
    """Something that is trained step by step, on every worker alike."""

    steps: int

    def step(self, number: int) -> dict[str, float]:
        """Take one step, counted from 0; returns losses by name."""

    def state(self) -> State:
        """All that the next step depends on: tensors, numbers and containers of them."""

    def load(self, state: State) -> None:
        """Take on a state."""


class ModuleTraining(ABC):
    """A training whose state is that of its parts: networks and optimisers."""

    @abstractmethod
    def parts(self) -> dict[str, "nn.Module | torch.optim.Optimizer"]:
        """By name."""

    def state(self) -> State:
        """Of all parts."""
        return {name: part.state_dict() for name, part in self.parts().items()}

    def load(self, state: State) -> None:
        """Take on a state."""
        for name, part in self.parts().items():
            part.load_state_dict(state[name])


def fit(
    make: Callable[[], Training],
    *,
    folder: str,
    name: str,
    workers: int = 1,
    use_gpu: bool = False,
    every: int = 50,
    report: Callable[[str], None] = print,
    datasets: "Callable[[], dict[str, Dataset]] | None" = None,
) -> State:
    """Train on Ray, from the last checkpoint of the same name if there is one.

    Args:
        make: builds the training on each worker; the same for a run and its resumption.
        folder: where checkpoints are kept, local or `s3://`, in a folder `name`.
        name: of this run; see `run_name`.
        workers: processes that share each step's batch.
        use_gpu: one GPU a worker.
        every: steps between checkpoints.
        report: receives a line with the losses at every checkpoint.
        datasets: makes Ray data sets, once Ray is there; each worker finds them, whole, by
            `ray.train.get_dataset_shard`.

    Returns:
        the state after the last step.

    Raises:
        RoiRayError: what a worker raised on purpose; or a worker that died time and again.
    """
    # Of what Ray Train's own actors print, there is more than of the losses.
    with connect(worker_logs=False) as own, warnings.catch_warnings():
        # Ray's own copying of a data context touches settings that it calls deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        # How often Ray looks at its workers, in seconds: a checkpoint waits for it, and so does the
        # end. By default 2, in which small trainings spend most of their time.
        os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.25")
        import ray
        from ray.train import (
            CheckpointConfig,
            DataConfig,
            FailureConfig,
            LoggingConfig,
            RunConfig,
            ScalingConfig,
        )
        from ray.train.torch import TorchTrainer
        from ray.train.v2.api.exceptions import TrainingFailedError
        from ray.util.queue import Queue

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        cpus = cpus_per_worker([int(node.get("CPU", 0)) for node in nodes], workers)
        threads = max(1, min(int(cpus), (os.cpu_count() or 1) // workers))
        if use_gpu and (gpus := int(sum(node.get("GPU", 0) for node in nodes))) < workers:
            if own:
                raise WeightsError(f"no GPU for each of {workers} workers: Ray sees {gpus} here")
            report(f"waits for {workers} GPUs, as the cluster has {gpus} now")
        lines, refusals = (Queue(actor_options={"num_cpus": 0}) for _ in range(2))
        config = {
            "make": make,
            "every": every,
            "threads": threads,
            "lines": lines,
            "refusals": refusals,
        }
        trainer = TorchTrainer(
            _work,
            train_loop_config=config,
            datasets=datasets() if datasets else None,
            # Whole: equal parts would leave out what is left over, and depend on the workers.
            dataset_config=DataConfig(datasets_to_split=[]),
            scaling_config=ScalingConfig(
                num_workers=workers,
                use_gpu=use_gpu,
                resources_per_worker={"GPU": 1} if use_gpu else {"CPU": cpus},
            ),
            run_config=RunConfig(
                name=name,
                storage_path=storage.absolute(folder),
                failure_config=FailureConfig(max_failures=_RETRIES),
                checkpoint_config=CheckpointConfig(num_to_keep=1),
                logging_config=LoggingConfig(log_level="ERROR"),
            ),
        )
        printer = Thread(target=_pass_on, args=(lines, report))
        printer.start()
        try:
            result = trainer.fit()
        except TrainingFailedError as error:
            raise _cause(error) from error
        finally:
            lines.put(None)
            printer.join()
        if not refusals.empty():
            raise refusals.get()
    return _read(result.checkpoint)


def cpus_per_worker(nodes: Sequence[int], workers: int) -> float:
    """CPUs that each worker asks for: as many as there are for all of them at once.

    Args:
        nodes: CPUs of each node; none of a cluster that begins without any.
        workers: how many.

    Returns:
        a whole number; or a fraction, where there are more workers than CPUs.
    """
    total = sum(nodes)
    if not total:
        return 1.0
    for cpus in range(total // workers, 0, -1):
        if sum(node // cpus for node in nodes) >= workers:
            return float(cpus)
    # Rounded down, as Ray counts in ten-thousandths.
    return (10_000 // -(-workers // total)) / 10_000


def default_checkpoint_folder(output: str) -> str:
    """Where checkpoints go by default: `out/runs`; beside an output on S3, as nodes see that."""
    return storage.join(storage.parent(output), "runs") if storage.is_remote(output) else "out/runs"


def run_name(prefix: str, settings: object) -> str:
    """A run's name, which other settings change: they start afresh instead of being resumed.

    Args:
        prefix: how it begins.
        settings: all that decides the result, beside the version of roi-ray; JSON.
    """
    text = json.dumps([roi_ray.__version__, settings], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{prefix}-{digest[:8]}"


def rank_and_world_size() -> tuple[int, int]:
    """This worker's number, from 0, and how many there are."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def select_local_batch(items: Sequence[Item]) -> Sequence[Item]:
    """This worker's part of a step's batch.

    Raises:
        RoiRayError: the batch cannot be divided evenly, which averaging gradients relies on.
    """
    rank, workers = rank_and_world_size()
    if len(items) % workers:
        raise RoiRayError(f"a batch of {len(items)} cannot be divided among {workers} workers")
    size = len(items) // workers
    return items[rank * size : (rank + 1) * size]


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the workers.

    DistributedDataParallel would do it behind the scenes, but two networks that are trained
    against each other, each seeing gradients of the other's, are not what it is made for.
    """
    _, workers = rank_and_world_size()
    if workers == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= workers
    nn.utils.vector_to_parameters(flat, gradients)


def _work(config: dict[str, Any]) -> None:
    """What each worker does."""
    import ray.train

    if not config["refusals"].empty():
        return  # this is another try of what was refused, which would not help
    try:
        _train(config)
    except StorageUnavailable:
        raise  # which may pass: Ray goes on from the last checkpoint
    except RoiRayError as error:
        config["refusals"].put(error)
        # Workers that wait for this one's gradients must be told by its failure.
        if ray.train.get_context().get_world_size() > 1:
            raise


def _train(config: dict[str, Any]) -> None:
    import ray.train

    torch.set_num_threads(config["threads"])
    # Each batch is tens of megabytes, drawn anew.
    keep_freed_memory()
    training: Training = config["make"]()
    head = ray.train.get_context().get_world_rank() == 0
    first = 0
    if (checkpoint := ray.train.get_checkpoint()) is not None:
        state = _read(checkpoint)
        first = state.pop("step")
        training.load(state)
        if head:
            config["lines"].put(f"resumes from step {first}")
    began, losses = time.monotonic(), list[dict[str, float]]()
    for number in range(first, training.steps):
        losses.append(training.step(number))
        done = number + 1
        if done % config["every"] and done < training.steps:
            continue
        # A loss may begin later than the others.
        known = {name: [each[name] for each in losses if name in each] for name in losses[-1]}
        means = {name: sum(values) / len(values) for name, values in known.items()}
        losses.clear()
        with tempfile.TemporaryDirectory() as folder:
            saved = None
            if head:
                text = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
                passed = f"{time.monotonic() - began:.0f} s"
                config["lines"].put(f"step {done}/{training.steps}  {text}  {passed}")
                torch.save({"step": done, **training.state()}, Path(folder) / _FILE)
                saved = ray.train.Checkpoint.from_directory(folder)
            ray.train.report({"step": done, **means}, checkpoint=saved)


def _pass_on(lines: "Queue", report: Callable[[str], None]) -> None:
    for line in iter(lines.get, None):
        report(line)


def _read(checkpoint: "Checkpoint") -> State:
    with checkpoint.as_directory() as folder:
        data = (Path(folder) / _FILE).read_bytes()
    # Tensors and numbers only: a checkpoint may lie where others can write.
    state: State = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    return state


def _cause(error: Exception) -> RoiRayError:
    """What a worker raised on purpose, if that is why the training failed."""
    failures = list(getattr(error, "worker_failures", {}).values())
    for failure in failures:
        if isinstance(cause := getattr(failure, "_base_exc", failure), RoiRayError):
            return cause
    return RoiRayError(f"training failed: {str(failures[0] if failures else error).strip()}")
