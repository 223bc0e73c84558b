"""The Ray Train job: labelled comparisons in a Ray data set, any number of workers."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch

import roi_ray
from roi_ray import schema
from roi_ray.preference.comparisons import Comparisons
from roi_ray.preference.examples import Examples, sides, to_examples
from roi_ray.preference.features import scored_with
from roi_ray.preference.model import PreferenceModel, Scale
from roi_ray.preference.recipes import RECIPES
from roi_ray.preference.seen import SAMPLE, sample
from roi_ray.preference.training import (
    TRAINING_VERSION,
    PreferenceTraining,
    batches_per_epoch,
    finished,
)
from roi_ray.runtime.cluster import connect
from roi_ray.runtime.train_loop import fit, make_run_name

if TYPE_CHECKING:
    from ray.data import Dataset

_TRAIN = "train"
_ROWS_A_WORKER = 100_000


def train_model(
    comparisons: Comparisons,
    features: tuple[str, ...],
    recipe: str,
    *,
    runs: str,
    workers: int | None = None,
    use_gpu: bool = False,
    seed: int = 0,
    report: Callable[[str], None] = print,
) -> PreferenceModel:
    """Train a preference model on Ray, from the last checkpoint of the same training if any.

    Args:
        comparisons: labelled, with features, as `jobs/compare.py` writes them.
        features: which of them.
        recipe: a name of `recipes.RECIPES`.
        runs: folder for checkpoints, local or `s3://`.
        workers: that share the comparisons; None for one per hundred thousand of them, as far as
            the cluster has CPUs (GPUs) for them: of a small model, the start of two workers takes
            longer than the whole training by one.
        use_gpu: one GPU a worker.
        seed: of the start and the order.
        report: receives the progress.

    Raises:
        ManifestError: the comparisons cannot be learned from; see `to_examples`.
    """
    examples = to_examples(comparisons.table, features, comparisons.name)
    references = len(np.unique(examples.group))
    report(
        f"{len(comparisons.table)} comparisons, of which {len(examples)} can be learned from, "
        f"about {references} references"
    )
    settings = RECIPES[recipe]
    scale = Scale.of(examples, settings)
    batches = batches_per_epoch(len(examples), settings)
    device = "cuda" if use_gpu else "cpu"
    with connect(worker_logs=False):
        workers = workers or _workers(len(examples), use_gpu=use_gpu)
        state = fit(
            partial(_of_data, features, recipe, scale, batches, seed, device),
            folder=runs,
            name=make_run_name(
                "preference",
                TRAINING_VERSION,
                [comparisons.sha256, features, asdict(settings), seed],
            ),
            workers=workers,
            use_gpu=use_gpu,
            checkpoint_every=max(batches, settings.epochs * batches // 10),
            report=report,
            make_datasets=partial(_datasets, examples),
        )
    provenance = {
        "roi_ray": roi_ray.__version__,
        "torch": torch.__version__,
        "recipe": recipe,
        "seed": seed,
        "workers": workers,
        "comparisons": {
            "rows": len(examples),
            "sha256": comparisons.sha256,
            SAMPLE: sample(examples),
        },
        "references": references,
        schema.SCORED_WITH: scored_with(comparisons.table, comparisons.name),
    }
    return finished(state, features, settings, scale, provenance)


def _workers(comparisons: int, *, use_gpu: bool) -> int:
    import ray

    room = int(ray.cluster_resources().get("GPU" if use_gpu else "CPU", 0))
    wanted = 1 + comparisons // _ROWS_A_WORKER
    return min(wanted, room or wanted)


def _datasets(examples: Examples) -> dict[str, "Dataset"]:
    import ray.data

    columns = {
        f"{feature}_{side}": values[:, index]
        for side, values in zip(schema.SIDES, (examples.a, examples.b), strict=True)
        for index, feature in enumerate(examples.features)
    }
    facts = {schema.P_A: examples.p_a, schema.VOTES: examples.weight, schema.GROUP: examples.group}
    return {_TRAIN: ray.data.from_blocks([pa.table({**columns, **facts})])}


def _of_data(
    features: tuple[str, ...], recipe: str, scale: Scale, batches: int, seed: int, device: str
) -> PreferenceTraining:
    """Built on each worker, from the whole data set."""
    import ray.train

    data = ray.train.get_dataset_shard(_TRAIN)
    parts = list(data.iter_batches(batch_size=None, batch_format="pyarrow"))
    table = pa.concat_tables(parts)
    examples = Examples(
        features,
        *sides(table, features),
        *(table[name].to_numpy().copy() for name in (schema.P_A, schema.VOTES, schema.GROUP)),
    )
    return PreferenceTraining(examples, RECIPES[recipe], scale, batches, seed, device)
