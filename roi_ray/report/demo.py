"""Build the demonstration, a codec sweep of sample photographs, and report its scores."""

from rich.console import Console

from roi_ray.io import storage
from roi_ray.report.summary.table import print_decision
from roi_ray.report.write import write_report
from roi_ray.sweep import photographs
from roi_ray.sweep.job import make_sweep

_CODECS = ("jpeg:15,30,50,75,90", "webp:1,15,45,75,92", "jpeg2000", "avif:10,30,50,70,88")


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


def report_demo(folder: str, saliency: str) -> None:
    """Write the report, print the decision, and list the files.

    Args:
        folder: folder that `make_demo` was called with.
        saliency: the saliency network of the scores, see `Settings`.
    """
    folder = storage.absolute(folder)
    scores, page = (storage.join(folder, name) for name in ("scores", "report.html"))
    decision = write_report(scores, page, saliency=saliency)
    console = Console(highlight=False, markup=False, emoji=False)
    print_decision(decision, console)
    console.print()
    for label, path in {
        "originals": "originals/",
        "encoded files": "encoded/",
        "manifest": "manifest.parquet",
        "scores": "scores/",
        "report": "report.html",
    }.items():
        console.print(f"{label:>14}  {storage.join(folder, path)}", soft_wrap=True)
