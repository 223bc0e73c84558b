"""Build the demonstration, a codec sweep of sample photographs, and report its scores."""

from dataclasses import replace

import pyarrow.dataset as ds
from rich.console import Console

from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import to_8_bits
from roi_ray.io import storage
from roi_ray.report.figure import draw_sweep_figure
from roi_ray.report.summary import average_by_quality, build_summary_table
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings
from roi_ray.sweep import photographs
from roi_ray.sweep.job import make_sweep

_CODECS = ("jpeg", "webp", "jpeg2000", "avif")
_SHOWN = "astronaut"


def make_demo(folder: str) -> tuple[str, str]:
    """Copy the photographs and make the sweep, or finish what an interrupted run has made of it.

    Args:
        folder: folder for the images, the manifest and the scores, local or `s3://`.

    Returns:
        URI of the manifest and URI of the folder for its scores.

    Raises:
        OutputError: the folder has a manifest that is not a demonstration's.
        RoiRayError: the photographs are not installed.
    """
    folder = storage.absolute(folder)
    originals = storage.join(folder, "originals")
    for path in photographs().values():
        copy = storage.join(originals, path.name)
        if not storage.is_file(copy):
            storage.write_bytes(copy, path.read_bytes())
    summary = make_sweep(originals, folder, _CODECS)
    return summary.manifest, storage.join(folder, "scores")


def report_demo(folder: str, settings: Settings, weights_dir: str | None = None) -> None:
    """Print the summary table, draw the figure, and list the files.

    Args:
        folder: folder that `make_demo` was called with.
        settings: settings that the scores were computed with.
        weights_dir: folder of downloaded weights, see `Scorer`.
    """
    folder = storage.absolute(folder)
    means = average_by_quality(ds.dataset(storage.join(folder, "scores")).to_table())
    console = Console(width=160)
    console.print(build_summary_table(means))

    reference = to_8_bits(decode_image(photographs()[_SHOWN].read_bytes()))
    # The picture is drawn on this machine's CPU, wherever and in whichever precision the job ran.
    scorer = Scorer(replace(settings, precision="fp32"), weights_dir=weights_dir)
    mask = scorer.prepare(reference).mask.numpy()
    storage.write_bytes(
        storage.join(folder, "summary.png"), draw_sweep_figure(means, reference, mask, _SHOWN)
    )
    for label, path in {
        "originals": "originals/",
        "encoded files": "encoded/",
        "manifest": "manifest.parquet",
        "scores": "scores/",
        "picture": "summary.png",
    }.items():
        console.print(f"{label:>14}  {storage.join(folder, path)}", highlight=False)
