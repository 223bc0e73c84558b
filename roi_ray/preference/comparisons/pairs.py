"""Score every distinct image of comparisons once, however many comparisons share it."""

import io
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from roi_ray import schema
from roi_ray.errors import OutputError
from roi_ray.io import storage
from roi_ray.io.tables import read_table
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.pipeline.run_record import RUN_JSON
from roi_ray.preference.comparisons.table import Comparisons, canonical_uri
from roi_ray.settings import Settings

_PAIR = [schema.REFERENCE, schema.DISTORTED]


def score_pairs(
    comparisons: Comparisons,
    folder: str,
    settings: Settings | None = None,
    options: Options | None = None,
) -> str:
    """Score every distinct pair (reference, image) of comparisons; resumes an interrupted run.

    Args:
        comparisons: from `read_comparisons`.
        folder: folder for `pairs.parquet`, the manifest of the pairs, and for `scores/`.
        settings: networks and metrics that decide the scores.
        options: options of the scoring job.

    Returns:
        URI of the scores.

    Raises:
        WeightsError, OutputError: see `score_manifest`; also OutputError where the folder has the
            scores of other pairs.
    """
    manifest, scores = (storage.join(folder, name) for name in ("pairs.parquet", "scores"))
    pairs = distinct_pairs(comparisons)
    started = storage.is_file(storage.join(scores, *RUN_JSON)) and storage.is_file(manifest)
    if not started:
        buffer = io.BytesIO()
        pq.write_table(pairs, buffer)
        storage.write_bytes(manifest, buffer.getvalue())
    elif not pairs.equals(read_table(manifest, _PAIR)[0]):
        raise OutputError(
            f"{folder} has the scores of other comparisons' images: name another --output"
        )
    # The manifest is in the output folder, but its images are below the comparisons' folder.
    options = options or Options()
    options = replace(options, allow_prefixes=(*options.allow_prefixes, comparisons.base))
    return score_manifest(manifest, scores, settings, options).output


def distinct_pairs(comparisons: Comparisons) -> pa.Table:
    """List all pairs (reference, image) of comparisons, each once, with absolute URIs, sorted."""
    table, base = comparisons.table, comparisons.base
    sides = [
        table.select([schema.REFERENCE, side]).rename_columns(_PAIR)
        for side in (schema.A, schema.B)
    ]
    order = [(name, "ascending") for name in _PAIR]
    written = pa.concat_tables(sides).group_by(_PAIR).aggregate([]).sort_by(order)
    # Use the first of several spellings of one image, and keep its `..`: if a folder is a symbolic
    # link, only the storage can resolve it.
    spelling: dict[str, str] = {}
    absolute = {
        name: [
            spelling.setdefault(canonical_uri(uri, base), storage.resolve(uri, base))
            for uri in written[name].to_pylist()
        ]
        for name in _PAIR
    }
    return pa.table(absolute).group_by(_PAIR).aggregate([]).sort_by(order)
