"""Train a preference model on Ray Train, on any number of workers."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch

import roi_ray
from roi_ray import schema
from roi_ray.preference.comparisons.examples import Examples, select_trainable, to_examples
from roi_ray.preference.comparisons.provenance import features_provenance
from roi_ray.preference.comparisons.regions import (
    describe_substitution,
    feature_arrays,
    lack_region,
)
from roi_ray.preference.comparisons.table import Comparisons
from roi_ray.preference.model.leakage import SAMPLE, sample_hashes
from roi_ray.preference.model.preference_model import PreferenceModel
from roi_ray.preference.model.recipes import MlpRecipe, Recipe, find_recipe
from roi_ray.preference.model.scale import Scale
from roi_ray.preference.training.early_stopping import choose_epochs, fix_epochs
from roi_ray.preference.training.train import (
    TRAINING_VERSION,
    build_trained_model,
    count_steps_per_checkpoint,
    make_training,
)
from roi_ray.runtime.cluster import connect
from roi_ray.runtime.train_loop import fit, make_run_name
from roi_ray.runtime.train_worker import Training

if TYPE_CHECKING:
    from ray.data import Dataset

_TRAIN = "train"
_COMPARISONS_PER_WORKER = 100_000


def train_model(
    comparisons: Comparisons,
    features: tuple[str, ...],
    recipe: str,
    *,
    runs: str,
    workers: int | None = None,
    use_gpu: bool = False,
    seed: int = 0,
    epochs: int | None = None,
    report: Callable[[str], None] = print,
) -> PreferenceModel:
    """Train a preference model on Ray; resumes from the last checkpoint of the same training.

    Args:
        comparisons: labelled comparisons with features, as `roi-ray compare` writes them.
        features: names of the features to train on.
        recipe: name of a recipe in `RECIPES`.
        runs: folder for checkpoints, local or `s3://`.
        workers: number of workers that share the comparisons; None for one per 100,000
            comparisons, but at most one per CPU (or GPU) of the cluster. A small model trains on
            one worker in less time than two workers take to start.
        use_gpu: whether each worker has a GPU.
        seed: seed of a training in which chance has a part: that of the recipe `paper`.
        epochs: number of epochs, without early stopping; None for the recipe's own way.
        report: function that receives lines about the progress.

    Raises:
        UsageError: the recipe or a feature is unknown, or the recipe has no epochs.
        ManifestError: the comparisons cannot be trained on, see `to_examples`; or there are too few
            references for early stopping.
    """
    settings = find_recipe(recipe, epochs)
    examples = to_examples(comparisons.table, features, comparisons.name)
    references = len(np.unique(examples.group))
    report(
        f"{len(comparisons.table)} comparisons, {len(examples)} of them with labels and features, "
        f"about {references} references"
    )
    lacking = lack_region(select_trainable(comparisons.table, features)).sum()
    if lacking:
        report(describe_substitution(int(lacking)))
    chosen = None
    if isinstance(settings, MlpRecipe) and settings.early_stopping:
        # In this process: the network is tiny.
        chosen = choose_epochs(examples, settings, seed)
        report(chosen.describe())
        settings = fix_epochs(settings, chosen)
    scale = Scale.fit(examples, settings)
    device = "cuda" if use_gpu else "cpu"
    with connect(worker_logs=False):
        workers = workers or _choose_workers(len(examples), use_gpu=use_gpu)
        state = fit(
            partial(_build_training, features, settings, scale, seed, device),
            folder=runs,
            name=make_run_name(
                "preference",
                TRAINING_VERSION,
                [comparisons.sha256, features, settings.network, asdict(settings), seed],
            ),
            workers=workers,
            use_gpu=use_gpu,
            checkpoint_every=count_steps_per_checkpoint(settings, len(examples)),
            report=report,
            make_datasets=partial(_to_datasets, examples),
        )
    model = build_trained_model(state, features, settings, scale)
    provenance = {
        "roi_ray": roi_ray.__version__,
        "torch": torch.__version__,
        "recipe": recipe,
        **({"early_stopping": chosen.to_json()} if chosen else {}),
        "seed": seed,
        "workers": workers,
        "comparisons": {
            "rows": len(examples),
            "sha256": comparisons.sha256,
            SAMPLE: sample_hashes(examples.only(model.features)),
        },
        "references": references,
        schema.SCORED_WITH: features_provenance(comparisons.table, comparisons.name),
    }
    return replace(model, provenance=provenance)


def _choose_workers(comparisons: int, *, use_gpu: bool) -> int:
    import ray

    available = int(ray.cluster_resources().get("GPU" if use_gpu else "CPU", 0))
    wanted = 1 + comparisons // _COMPARISONS_PER_WORKER
    return min(wanted, available or wanted)


def _to_datasets(examples: Examples) -> dict[str, "Dataset"]:
    import ray.data

    columns = {
        f"{feature}_{side}": values[:, index]
        for side, values in zip(schema.SIDES, (examples.a, examples.b), strict=True)
        for index, feature in enumerate(examples.features)
    }
    labels = {schema.P_A: examples.p_a, schema.VOTES: examples.weight, schema.GROUP: examples.group}
    return {_TRAIN: ray.data.from_blocks([pa.table({**columns, **labels})])}


def _build_training(
    features: tuple[str, ...], recipe: Recipe, scale: Scale, seed: int, device: str
) -> Training:
    """Build the training on a worker; every worker reads the whole data set."""
    import ray.train

    data = ray.train.get_dataset_shard(_TRAIN)
    table = pa.concat_tables(data.iter_batches(batch_size=None, batch_format="pyarrow"))
    examples = Examples(
        features,
        *feature_arrays(table, features),
        *(table[name].to_numpy().copy() for name in (schema.P_A, schema.VOTES, schema.GROUP)),
    )
    return make_training(examples, recipe, scale, seed, device)
