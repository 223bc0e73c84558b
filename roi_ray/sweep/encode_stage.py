"""The encode stage of a sweep: work items in, encoded files and rows of results out.

This module does not import torch: searches for MS-SSIM or SSIMULACRA2 import it when they begin.
"""

import errno
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from roi_ray import schema
from roi_ray.errors import (
    AccessError,
    CodecError,
    ImageReadError,
    StorageError,
    StorageUnavailable,
)
from roi_ray.imaging.decode import decode_image
from roi_ray.io import storage
from roi_ray.io.allowlist import Allowlist
from roi_ray.pipeline.decode_stage import read_allowed, resolve_allowed
from roi_ray.pipeline.kind import RETRIED_KINDS, ROW, SHARD
from roi_ray.pipeline.plan import PAIR_IDS, ROWS
from roi_ray.runtime import logs, telemetry
from roi_ray.schema import Failure
from roi_ray.sweep.codec import Codec
from roi_ray.sweep.codec_run import CodecRun, EncodeOptions
from roi_ray.sweep.measure import find_load_meter
from roi_ray.sweep.source import SourceImage
from roi_ray.sweep.sweep_kind import FATAL_ERRORS, ITEM_COLUMNS, SWEEP_RESULT_ROWS


class Stopped(Exception):
    """The job has been stopped: no further cell is encoded."""


class _Cell(NamedTuple):
    """An image to encode by one codec at one quality or target; see `schema.SWEEP_PLAN`."""

    row: int
    pair_id: str
    codec: str
    target_metric: str
    target: float
    distorted: str
    bitstream: str


def encode_cells(
    items: pa.Table,
    base: str,
    allowlist: Allowlist,
    codecs: Mapping[str, Codec],
    output: str,
    options: EncodeOptions,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[pa.Table]:
    """Encode the cells of work items, and write their files.

    An error about one cell fails its row alone, and one about an original fails its cells. Nothing
    is written for a cell that fails. If an output cannot be written, the row that says so is the
    last one; see `FATAL_ERRORS`.

    Args:
        items: one row per original, with some of its cells: columns `shard`, `reference`, `mask`,
            and lists `rows`, `pair_ids` and `ITEM_COLUMNS`.
        base: URI of the folder that relative URIs of originals are relative to.
        allowlist: folders that originals and masks may be in.
        codecs: the codecs by label.
        output: URI of the folder that `bitstream` and `distorted` are relative to.
        options: options of the stage.
        is_stopped: whether the job has been stopped; asked before each encode.

    Yields:
        tables of `SWEEP_RESULT_ROWS` with one row, each as soon as its files are written.

    Raises:
        Stopped: the job has been stopped.
    """
    logs.log_to_ray_file()
    name: str | None = None
    versions: dict[str, str] = {}

    def check_running() -> None:
        if is_stopped():
            raise Stopped

    for item in items.to_pylist():
        cells = _list_cells(item)
        # Items of one original follow each other.
        if item[schema.REFERENCE] != name:
            name = item[schema.REFERENCE]
            image = _read_original(name, item[schema.MASK], base, allowlist, options)
        for group in _group_by_codec(cells):
            outcomes = _encode_group(group, image, codecs, output, options, versions, check_running)
            for cell, outcome in zip(group, outcomes, strict=True):
                yield _to_table(item[SHARD], cell, outcome)
                if _is_fatal(outcome):
                    return


def fail_cells(items: pa.Table, failure: Failure) -> pa.Table:
    """Return the results of work items none of whose cells can be encoded, for one reason."""
    tables = [
        _to_table(item[SHARD], cell, failure)
        for item in items.to_pylist()
        for cell in _list_cells(item)
    ]
    return pa.concat_tables(tables)


def _list_cells(item: dict[str, Any]) -> list[_Cell]:
    columns = (item[column] for column in (ROWS, PAIR_IDS, *ITEM_COLUMNS))
    return [_Cell(*values) for values in zip(*columns, strict=True)]


def _read_original(
    uri: str, mask: str | None, base: str, allowlist: Allowlist, options: EncodeOptions
) -> SourceImage | Failure:
    subject = f"mask {mask}"
    try:
        if mask:  # of which `sweep --score` is then allowed to read the folder
            resolve_allowed(mask, base, allowlist)
        subject = f"reference {uri}"
        content = read_allowed(uri, base, allowlist)
        with telemetry.time_stage("decode"):
            return SourceImage(decode_image(content, options.max_pixels))
    except Exception as error:
        if isinstance(error, StorageError) and not isinstance(
            error, AccessError | StorageUnavailable
        ):
            error = ImageReadError(str(error))
        return Failure.from_exception(error, subject)


def _group_by_codec(cells: list[_Cell]) -> list[list[_Cell]]:
    groups: dict[str, list[_Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.codec, []).append(cell)
    return list(groups.values())


def _encode_group(
    cells: list[_Cell],
    image: SourceImage | Failure,
    codecs: Mapping[str, Codec],
    output: str,
    options: EncodeOptions,
    versions: dict[str, str],
    check_running: Callable[[], None],
) -> Iterator[dict[str, object] | Failure]:
    """Encode the cells of one codec and one image; yield the numbers or the failure of each."""
    if isinstance(image, Failure):
        yield from [image] * len(cells)
        return
    label = cells[0].codec
    try:
        codec = _find_codec(label, codecs)
        if label not in versions:
            versions[label] = codec.version()
    except Exception as error:
        failure = Failure.from_exception(_as_codec_error(error), label)
        yield from [failure] * len(cells)
        return
    run = CodecRun(
        codec,
        image,
        options,
        find_load_meter(),
        keep_files=any(cell.target_metric != schema.QUALITY for cell in cells),
        check_running=check_running,
    )
    for cell in cells:
        outcome = _encode_cell(cell, run, output)
        if not isinstance(outcome, Failure):
            outcome[schema.CODEC_VERSION] = versions[label]
        yield outcome


def _encode_cell(cell: _Cell, run: CodecRun, output: str) -> dict[str, object] | Failure:
    try:
        encoded = run.encode(cell.target_metric, cell.target)
    except Stopped:
        raise
    except Exception as error:  # any error fails only the row of its cell
        return Failure.from_exception(error, f"{cell.codec}, {cell.target_metric} {cell.target:g}")
    files = {cell.bitstream: encoded.bitstream}
    if encoded.decoded is not None:
        files[cell.distorted] = encoded.decoded
    try:
        with telemetry.time_stage("write"):
            for uri, data in files.items():
                storage.write_bytes(storage.join(output, uri), data)
    except StorageError as error:
        if _is_bad_name(error):
            return Failure.from_exception(_as_codec_error(error))
        return Failure.from_exception(error)
    return encoded.numbers


def _find_codec(label: str, codecs: Mapping[str, Codec]) -> Codec:
    if label not in codecs:
        raise CodecError("the job has no such codec")
    return codecs[label]


def _as_codec_error(error: Exception) -> CodecError:
    if isinstance(error, CodecError):
        return error
    return CodecError(f"{type(error).__name__}: {error}")


def _is_bad_name(error: StorageError) -> bool:
    """Return whether a file cannot be written for its name, which is the fault of its cell."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno == errno.ENAMETOOLONG


def _is_fatal(outcome: dict[str, object] | Failure) -> bool:
    return isinstance(outcome, Failure) and outcome.kind in {e.__name__ for e in FATAL_ERRORS}


def _to_table(shard: int, cell: _Cell, outcome: dict[str, object] | Failure) -> pa.Table:
    row: dict[str, Any] = {SHARD: shard, ROW: cell.row}
    if isinstance(outcome, Failure):
        logs.log_failures(shard, [cell.pair_id], [outcome])
        row |= {schema.ERROR_KIND: outcome.kind, schema.ERROR: outcome.text}
    else:
        row |= outcome
    if row.get(schema.ERROR_KIND) not in RETRIED_KINDS:  # the committer counts those
        telemetry.count_pairs([row.get(schema.ERROR_KIND)])
    return pa.Table.from_pylist([row], SWEEP_RESULT_ROWS)
