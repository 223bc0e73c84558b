"""Verify an output of `roi-ray score`: compute some pairs again, and compare every number."""

import time
from collections.abc import Collection, Mapping
from typing import Any

from roi_ray import schema
from roi_ray.errors import AccessError, ImageError, OutputError, StorageError, UsageError
from roi_ray.io import storage
from roi_ray.io.allowlist import build_allowlist
from roi_ray.io.tables import find_table_files
from roi_ray.pipeline.run_record import Run, read_run
from roi_ray.runtime.device import find_device
from roi_ray.runtime.progress import ProgressReporter
from roi_ray.schema import Failure
from roi_ray.scoring.version import SCORING_VERSION
from roi_ray.settings import MAX_PIXELS
from roi_ray.verification import packages
from roi_ray.verification.compute import PairComputer
from roi_ray.verification.draw import draw_pairs
from roi_ray.verification.files import ImageFiles, Pair
from roi_ray.verification.reference_networks import load_reference_networks
from roi_ray.verification.result import (
    ColumnResult,
    Comparison,
    Unverified,
    Verification,
    summarize_column,
)
from roi_ray.verification.tolerance import allow

DEFAULT_PAIRS = 20


def verify_scores(
    output: str,
    pairs: int = DEFAULT_PAIRS,
    *,
    seed: int = 0,
    manifest: str | None = None,
    allow_prefixes: Collection[str] = (),
    saliency: str | None = None,
    discriminator: str | None = None,
    weights_dir: str | None = None,
    device: str = "cpu",
) -> Verification:
    """Compute the numbers of some pairs of an output again, by other code, and compare them.

    MS-SSIM comes from `pytorch_msssim`, LPIPS from the `lpips` package (or `stlpips_pytorch`), mean
    squared errors from numpy, and the numbers under the mask from a slow implementation that
    follows the method's definition. The image files are read again.

    Args:
        output: folder, local or on S3, that `score_manifest` wrote.
        pairs: number of pairs to draw at random; all, if there are fewer.
        seed: seed of the draw.
        manifest: URI of the run's manifest if it was moved; relative URIs start from its folder.
        allow_prefixes: folders that images may be in, besides the manifest's own.
        saliency: path or URI of the run's saliency network, if it is not the packaged one.
        discriminator: path or URI of the run's discriminator, likewise.
        weights_dir: see `Scorer`.
        device: where the networks run: `cpu`, `cuda`, ...; see `Scorer`.

    Raises:
        UsageError: `pairs` is not positive, or a file of weights must be named.
        OutputError: the folder is no such output, has no scores, or is of another scoring version.
        WeightsError: weights are missing, or are not those of the run.
        DeviceError: the device is not available.
        StorageError: the output cannot be read, or S3 refuses the credentials.

    Examples:
        >>> import tempfile
        >>> import pyarrow as pa
        >>> import pyarrow.parquet as pq
        >>> import roi_ray
        >>> from roi_ray.sweep import photographs
        >>> folder = tempfile.mkdtemp()
        >>> photo = str(photographs()["chelsea"])
        >>> manifest = pa.table({"reference": [photo], "distorted": [photo]})
        >>> pq.write_table(manifest, f"{folder}/pairs.parquet")
        >>> options = roi_ray.Options(allow_prefixes=(storage.parent(photo),))
        >>> summary = roi_ray.score_manifest(
        ...     f"{folder}/pairs.parquet", f"{folder}/scores", options=options
        ... )
        >>> found = verify_scores(f"{folder}/scores", allow_prefixes=options.allow_prefixes)
        >>> found.agrees, found.verified, [column.name for column in found.off]
        (True, 1, [])
    """
    if pairs < 1:
        raise UsageError(f"pairs is {pairs}; draw at least one")
    uri = storage.absolute(output)
    run = read_run(uri)
    _check_scoring_version(uri, run)
    base = find_table_files(manifest, ()).base if manifest else _read_base(uri, run)
    allowlist = build_allowlist(base, allow_prefixes)
    torch_device = find_device(device)
    drawn = draw_pairs(uri, run, pairs, seed)
    networks = load_reference_networks(run, torch_device, saliency, discriminator, weights_dir)
    config = run["config"]
    files = ImageFiles(base, allowlist, config.get("max_pixels", MAX_PIXELS))
    names = tuple(name for name in run["columns"] if name not in (schema.ERROR_KIND, schema.ERROR))
    computer = PairComputer(networks, config["roi_weighting"], torch_device, names)

    began = time.monotonic()
    comparisons: dict[str, list[Comparison]] = {name: [] for name in computer.sources}
    unverified: list[Unverified] = []
    with ProgressReporter(len(drawn.rows)) as progress:
        for row in drawn.rows:
            try:
                pair = files.load(row)
            except AccessError:
                raise
            except (ImageError, StorageError) as error:
                failure = Failure.from_exception(error)
                identity = (row[schema.PAIR_ID], row[schema.DISTORTED])
                unverified.append(Unverified(*identity, failure.kind, failure.text))
            else:
                for name, comparison in _compare(row, pair, computer, config).items():
                    comparisons[name].append(comparison)
            progress.advance(1, failed=0)
    return Verification(
        output=uri,
        seed=seed,
        scored=drawn.scored,
        drawn=len(drawn.rows),
        columns=tuple(_summarize(name, computer, comparisons) for name in names),
        unverified=tuple(unverified),
        foreign=drawn.foreign,
        settings={
            "lpips": networks.lpips_name,
            "roi_weighting": config["roi_weighting"],
            "precision": config["precision"],
        },
        scoring_version=SCORING_VERSION,
        packages=packages.list_versions(),
        device=str(torch_device),
        seconds=time.monotonic() - began,
    )


def _check_scoring_version(uri: str, run: Run) -> None:
    version = run.get("scoring_version")
    if version != SCORING_VERSION:
        raise OutputError(
            f"{uri} has numbers of scoring version {version}, and this roi-ray computes those of "
            f"version {SCORING_VERSION}: verify it with a release of its version (roi-ray "
            f"{run.get('roi_ray')} made it), or score the manifest again"
        )


def _read_base(uri: str, run: Run) -> str:
    base = run.get("manifest", {}).get("base")
    if not base:
        raise OutputError(f"{uri} does not record where its manifest was; name it with --manifest")
    return str(base)


def _compare(
    row: Mapping[str, Any], pair: Pair, computer: PairComputer, config: Mapping[str, Any]
) -> dict[str, Comparison]:
    """Compare a row with the numbers computed anew, by column."""
    numbers = computer.compute(pair)

    def compare(name: str, rounding: float = 0.0) -> Comparison:
        allowed = allow(
            name,
            numbers,
            config["precision"],
            mask_is_given=pair.mask is not None,
            normalised=config["roi_weighting"] == "normalised",
            rounding=rounding,
        )
        identity = (row[schema.PAIR_ID], row[schema.DISTORTED])
        return Comparison(*identity, row.get(name), numbers[name], allowed)

    compared = {name: compare(name) for name in computer.sources if name in numbers}
    # Measured only where it matters, because it takes as long as MS-SSIM itself.
    structural = [name for name in ("ms_ssim", "roi_ms_ssim") if name in compared]
    if any(compared[name].excess > 1 for name in structural):
        rounding = computer.measure_rounding(pair, numbers)
        compared |= {name: compare(name, rounding) for name in structural}
    return compared


def _summarize(
    name: str, computer: PairComputer, comparisons: Mapping[str, list[Comparison]]
) -> ColumnResult:
    if name in computer.not_checked:
        return ColumnResult(name, source="", not_checked=computer.not_checked[name])
    return summarize_column(name, computer.sources[name], comparisons[name])
