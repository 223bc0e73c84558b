"""The demonstration: a real codec sweep from photographs on this machine, scored and summed up."""

import pyarrow.dataset as ds
from rich.console import Console

from roi_ray.errors import OutputError
from roi_ray.imaging.decode import decode_image
from roi_ray.io import storage
from roi_ray.io.tables import read_table
from roi_ray.report.figure import draw_sweep_figure
from roi_ray.report.summary import average_by_quality, build_summary_table
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings
from roi_ray.sweep import make_sweep, photographs
from roi_ray.sweep.builder import SWEEP_SCHEMA

_SHOWN = "astronaut"


def make_demo(folder: str) -> tuple[str, str]:
    """Make the sweep; returns the manifest's URI and where its scores shall go.

    Raises:
        OutputError: the folder holds another manifest.
        RoiRayError: the photographs are not installed.
    """
    folder = storage.absolute(folder)
    manifest = storage.join(folder, "manifest.parquet")
    # Started again, it goes on from where it was interrupted.
    if not storage.is_file(manifest):
        make_sweep(photographs(), folder)
    elif not set(SWEEP_SCHEMA.names) <= set(read_table(manifest, ())[0].column_names):
        raise OutputError(f"{manifest} is not of a demonstration; name another folder")
    return manifest, storage.join(folder, "scores")


def report_demo(folder: str, settings: Settings, weights_dir: str | None = None) -> None:
    """Print the summary table, draw the picture, and say where everything is.

    Args:
        folder: that `make_demo` was given.
        settings: of the scores.
        weights_dir: see `Scorer`.
    """
    folder = storage.absolute(folder)
    means = average_by_quality(ds.dataset(storage.join(folder, "scores")).to_table())
    console = Console(width=160)
    console.print(build_summary_table(means))

    reference = decode_image(photographs()[_SHOWN].read_bytes())
    mask = Scorer(settings, weights_dir=weights_dir).prepare(reference).mask.numpy()
    picture = storage.join(folder, "summary.png")
    storage.write_bytes(picture, draw_sweep_figure(means, reference, mask, _SHOWN))
    for what, where in {
        "originals": "originals/",
        "decoded files": "decoded/",
        "manifest": "manifest.parquet",
        "scores": "scores/",
        "picture": "summary.png",
    }.items():
        console.print(f"{what:>14}  {storage.join(folder, where)}", highlight=False)
