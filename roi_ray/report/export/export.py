"""Write the scores of a sweep in the format of another tool."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from roi_ray.decision.decide import decide
from roi_ray.decision.sweep_scores import read_sweep_scores
from roi_ray.errors import UsageError
from roi_ray.report.export import codec_compare, compressai, tables
from roi_ray.report.export.files import Content, check_output, write_files
from roi_ray.report.export.selection import select_cells

Format = Literal["codec-compare", "csv", "compressai"]


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        folder: URI of the folder.
        files: URIs of the files.
        left_out: what the format cannot hold, one sentence each.
    """

    folder: str
    files: tuple[str, ...]
    left_out: tuple[str, ...]


def export_scores(
    scores: str,
    file_format: Format,
    output: str,
    *,
    anchor: str | None = None,
    metrics: Sequence[str] | None = None,
    codecs: Sequence[str] | None = None,
    only_with_region: bool = False,
) -> Export:
    """Write the scores of a sweep in the format of another tool.

    Args:
        scores: output of `roi-ray score`, or a table of scores.
        file_format: `codec-compare`: the JSON of Codec-Compare's page, a file per codec.
            `compressai`: the JSON of CompressAI's plots, a file per codec, with means over images.
            `csv`: all rows, and BD-rates.
        output: folder, local or `s3://`.
        anchor: codec that the BD-rates of `csv` are against; see `decide`.
        metrics: metrics of these BD-rates; see `decide`.
        codecs: codecs to export; all by default.
        only_with_region: leave out images without a region of interest. Such images have null for
            the numbers of the region, and the JSON formats then lack these metrics for all images.

    Raises:
        UsageError: an argument cannot be used, or a file exists with other content.
        ManifestError: the scores cannot be compared.
        StorageError: the scores cannot be read, or the output cannot be written to.
    """
    folder = check_output(output, scores)
    sweep = read_sweep_scores(scores)
    selection = select_cells(sweep, codecs, only_with_region=only_with_region)
    files: Mapping[str, Content]
    left_out: list[str] = []
    if file_format == "csv":
        if only_with_region:
            raise UsageError(
                "images without a region stay in a CSV, as empty fields: leave out "
                "--only-with-region, which is for the JSON formats"
            )
        decision = decide(sweep, anchor=anchor, metrics=metrics, codecs=codecs, model=None)
        files = tables.make_tables(decision, codecs)
    elif file_format == "codec-compare":
        files, left_out = codec_compare.make_batches(selection)
    else:
        files, left_out = compressai.make_results(selection)
    return Export(folder, tuple(write_files(folder, files)), tuple(left_out))
