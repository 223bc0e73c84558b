"""The driver's side of a training on Ray: starts the workers and resumes a killed run.

`train_worker.py` is what the workers run.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Sequence
from threading import Thread
from typing import TYPE_CHECKING

from roi_ray.errors import DeviceError, RoiRayError
from roi_ray.io import storage
from roi_ray.runtime.cluster import connect
from roi_ray.runtime.train_worker import State, Training, WorkerJob, read_checkpoint, run_worker

if TYPE_CHECKING:
    from ray.data import Dataset
    from ray.util.queue import Queue

    from roi_ray.runtime.trainer import Trainer

_RETRIES = 3


def fit(
    make_training: Callable[[], Training],
    *,
    folder: str,
    name: str,
    workers: int = 1,
    use_gpu: bool = False,
    checkpoint_every: int = 50,
    report: Callable[[str], None] = print,
    make_datasets: "Callable[[], dict[str, Dataset]] | None" = None,
) -> State:
    """Train on Ray, from the last checkpoint of the same name if there is one.

    Args:
        make_training: builds the training on each worker.
        folder: folder of all runs' checkpoints, local or `s3://`; this run's are in `folder/name`.
        name: name of the run; see `make_run_name`.
        workers: number of processes that share each step's batch.
        use_gpu: whether each worker gets a GPU.
        checkpoint_every: steps between checkpoints.
        report: receives the progress, a line of text with the mean losses per checkpoint.
        make_datasets: makes Ray data sets by name, once this process is connected to Ray. Each
            worker gets all rows of each data set, through `ray.train.get_dataset_shard`.

    Returns:
        the state after the last step.

    Raises:
        DeviceError: a local Ray has fewer GPUs than workers.
        RoiRayError: the error that a worker raised, or a worker died more than three times.
    """
    # Without worker_logs, because Ray Train's own actors print more than the losses.
    with connect(worker_logs=False) as local, warnings.catch_warnings():
        # Ray copies a data context, and in doing so reads settings that it has deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        # Seconds between Ray's checks of the workers, which checkpoints and the end of a run wait
        # for. With Ray's default of 2, small trainings mostly wait.
        os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.25")
        if local:
            # A process that waits for news of nodes that are about to be taken away.
            os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
        import ray
        from ray.train.v2.api.exceptions import TrainingFailedError
        from ray.util.queue import Queue

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if use_gpu:
            _check_gpus(int(sum(node.get("GPU", 0) for node in nodes)), workers, local, report)
        cpus = cpus_per_worker([int(node.get("CPU", 0)) for node in nodes], workers)
        lines, errors = (Queue(actor_options={"num_cpus": 0}) for _ in range(2))
        job = WorkerJob(
            make_training,
            checkpoint_every,
            threads=max(1, min(int(cpus), (os.cpu_count() or 1) // workers)),
            lines=lines,
            errors=errors,
        )
        datasets = make_datasets() if make_datasets else None
        resources = {"GPU": 1.0} if use_gpu else {"CPU": cpus}
        trainer = _make_trainer(job, folder, name, workers, resources, datasets)
        printer = Thread(target=_forward_lines, args=(lines, report))
        printer.start()
        try:
            result = trainer.fit()
        except TrainingFailedError as failure:
            raise _find_cause(failure) from failure
        except (KeyboardInterrupt, SystemExit):  # Control-C, SIGTERM
            trainer.stop()
            report("stopped; the same command resumes from the last checkpoint")
            raise
        finally:
            lines.put(None)
            printer.join()
        if not errors.empty():
            raise errors.get()
    return read_checkpoint(result.checkpoint)


def cpus_per_worker(nodes: Sequence[int], workers: int) -> float:
    """Return the most CPUs that each worker can ask for so that all workers run at once.

    Args:
        nodes: CPUs of each node. A cluster may have none yet.
        workers: number of workers.

    Returns:
        a whole number, or a fraction if there are more workers than CPUs.
    """
    total = sum(nodes)
    if not total:
        return 1.0
    for cpus in range(total // workers, 0, -1):
        if sum(node // cpus for node in nodes) >= workers:
            return float(cpus)
    # Ray counts in ten-thousandths of a CPU; more than a share would not fit.
    return (10_000 // -(-workers // total)) / 10_000


def default_checkpoint_folder(output: str) -> str:
    """Return where checkpoints go by default: `runs/` beside an output on S3, else `out/runs`."""
    return storage.join(storage.parent(output), "runs") if storage.is_remote(output) else "out/runs"


def make_run_name(training: str, version: int, settings: object) -> str:
    """Name a run so that it is resumed only by a training that would give the same weights.

    The version of this package is not part of the name: a release that changes nothing in a
    training resumes the runs of earlier releases. Checkpoints record it as metadata.

    Args:
        training: kind of training, with which the name begins.
        version: the training's `TRAINING_VERSION`.
        settings: everything else that decides the weights: hyperparameters and the identity of the
            data, as values that JSON can hold.
    """
    text = json.dumps([version, settings], sort_keys=True)
    return f"{training}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _check_gpus(gpus: int, workers: int, local: bool, report: Callable[[str], None]) -> None:
    if gpus >= workers:
        return
    if local:
        raise DeviceError(f"no GPU for each of {workers} workers: Ray sees {gpus} on this machine")
    report(f"waiting for {workers} GPUs: the cluster has {gpus} now")


def _make_trainer(
    job: WorkerJob,
    folder: str,
    name: str,
    workers: int,
    resources: dict[str, float],
    datasets: "dict[str, Dataset] | None",
) -> "Trainer":
    from ray.train import (
        CheckpointConfig,
        DataConfig,
        FailureConfig,
        LoggingConfig,
        RunConfig,
        ScalingConfig,
    )

    from roi_ray.runtime.trainer import Trainer

    return Trainer(
        run_worker,
        train_loop_config={"job": job},
        datasets=datasets,
        # Every worker gets all rows. Ray's equal parts drop the remainder and depend on the number
        # of workers.
        dataset_config=DataConfig(datasets_to_split=[]),
        scaling_config=ScalingConfig(
            num_workers=workers, use_gpu="GPU" in resources, resources_per_worker=resources
        ),
        run_config=RunConfig(
            name=name,
            storage_path=storage.absolute(folder),
            failure_config=FailureConfig(max_failures=_RETRIES),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            logging_config=LoggingConfig(log_level="ERROR"),
        ),
    )


def _forward_lines(lines: "Queue", report: Callable[[str], None]) -> None:
    for line in iter(lines.get, None):
        report(line)


def _find_cause(failure: Exception) -> RoiRayError:
    """Return the worker's `RoiRayError` that made a training fail, or make one."""
    errors = list(getattr(failure, "worker_failures", {}).values())
    for error in errors:
        if isinstance(cause := getattr(error, "_base_exc", error), RoiRayError):
            return cause
    return RoiRayError(f"training failed: {str(errors[0] if errors else failure).strip()}")
