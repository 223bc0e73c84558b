"""Run named pieces of work of one source tree, on request: the process of one side of a comparison.

A script, started with the tree on its path. It also runs on older trees, so it uses the public API
of roi_ray; what it needs beyond that may be missing, and so may every piece.

The first line of standard input has the options, as JSON; each other line asks for a number of
calls of a piece. Each answer is a line of JSON on standard output.
"""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import roi_ray

Piece = Callable[[], object]
"""A piece of work; returns its numbers."""

_COLUMNS = {
    "mse_ycbcr": ["mse_y", "mse_cb", "mse_cr"],
    "texture": ["texture_gained", "texture_lost"],
}


def build_pieces(options: dict[str, Any]) -> tuple[dict[str, Piece], dict[str, str]]:
    """Build the pieces by name, and say why those that this tree lacks are missing.

    Args:
        options: see `worker_options`.
    """
    files = [Path(path).read_bytes() for path in (options["reference"], *options["distorted"])]
    images = [roi_ray.load_image(data) for data in files]
    settings = roi_ray.Settings(precision=options["precision"])
    scorer = roi_ray.Scorer(settings, options["device"], allow_slow_precision=True)
    prepared = scorer.prepare(images[0])

    def score_files() -> object:
        reference, *distorted = map(roi_ray.load_image, files)
        return scorer.score(scorer.prepare(reference), distorted)

    def prepare() -> object:
        return {"roi_fraction": scorer.prepare(images[0]).roi_fraction}

    pieces: dict[str, Piece] = {
        f"reference and {len(files) - 1} images": score_files,
        "Scorer.prepare": prepare,
        "Scorer.score": lambda: scorer.score(prepared, images[1:2]),
        "decode reference": lambda: roi_ray.load_image(files[0]) is None,
        "decode": lambda: roi_ray.load_image(files[1]) is None,
    }
    missing: dict[str, str] = {}
    x, y = (torch.from_numpy(each.copy()).permute(2, 0, 1) for each in images[:2])
    x, y = x.to(scorer.device), y.to(scorer.device)
    mask = prepared.mask
    for name in options["metrics"]:
        function = getattr(roi_ray.metrics, name, None)
        if function is None:
            missing[name] = f"no roi_ray.metrics.{name}"
            continue
        pieces[name] = partial(function, x, y)
        pieces[f"{name} under a mask"] = partial(function, x, y, mask)
    try:
        pieces |= _build_network_pieces(options, scorer.device, x, y)
    except (ImportError, AttributeError, TypeError) as error:
        missing["networks one by one"] = str(error)
    return pieces, missing


def _build_network_pieces(
    options: dict[str, Any], device: torch.device, x: Tensor, y: Tensor
) -> dict[str, Piece]:
    """Build a piece of each network; they are not part of the public API."""
    from roi_ray.metrics.metric import compute_metric
    from roi_ray.runtime.precision import DTYPES
    from roi_ray.scoring.network_metrics import DiscriminatorLoss, LpipsMetric
    from roi_ray.scoring.scorer import load_networks_for

    networks = load_networks_for(roi_ray.Settings(precision=options["precision"]))
    networks.to(device, DTYPES[options["precision"]])
    lpips, loss = LpipsMetric(networks.lpips), DiscriminatorLoss(networks.discriminator)
    image = x[None].float().div_(255).contiguous(memory_format=torch.channels_last)
    return {
        "saliency": lambda: {"saliency": networks.saliency(image).double().mean()},
        "lpips": lambda: compute_metric(lpips, x, y, None, "mean"),
        "d_loss": lambda: compute_metric(loss, x, y, None, "mean"),
    }


def convert_numbers(name: str, result: object) -> dict[str, list[float | None]]:
    """Convert what a piece returns to columns of numbers."""
    if isinstance(result, bool):
        return {}
    if isinstance(result, dict):
        return {column: [float(value)] for column, value in result.items()}
    if isinstance(result, Tensor):
        column = name.removesuffix(" under a mask")
        values = result.detach().double().flatten().tolist()
        names = _COLUMNS.get(column, [column])
        if len(names) != len(values):
            names = [f"{column} {number}" for number in range(len(values))]
        return {name: [value] for name, value in zip(names, values, strict=True)}
    if isinstance(result, Sequence):
        rows = [dataclasses.asdict(scores) for scores in result]
        return {column: [row[column] for row in rows] for column in rows[0]}
    raise TypeError(f"{name}: unexpected result of type {type(result).__name__}")


@torch.inference_mode()
def time_calls(piece: Piece, calls: int, device: str) -> tuple[list[float], object]:
    """Call a piece, and return the seconds of each call and the last result.

    The first of several calls is not measured: the other process has just used the caches.
    """
    seconds = []
    for _ in range(calls):
        started = time.perf_counter()
        result = piece()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return seconds[1:] or seconds, result


def _describe_tree() -> dict[str, Any]:
    """Describe the tree that was imported."""
    scoring_version = None
    with suppress(ImportError):
        from roi_ray.scoring.version import SCORING_VERSION

        scoring_version = SCORING_VERSION
    return {
        "package": str(Path(roi_ray.__file__).parent),
        "version": roi_ray.__version__,
        "scoring_version": scoring_version,
    }


def _serve(requests: Iterator[str], answer: Callable[[dict[str, Any]], None]) -> None:
    options = json.loads(next(requests))
    if options["threads"]:
        torch.set_num_threads(options["threads"])
    with suppress(ImportError):
        from roi_ray.runtime.memory import keep_freed_memory

        keep_freed_memory()
    pieces, missing = build_pieces(options)
    answer({**_describe_tree(), "pieces": list(pieces), "missing": missing})
    for line in requests:
        request = json.loads(line)
        name = request["piece"]
        try:
            seconds, result = time_calls(pieces[name], request["calls"], options["device"])
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})
        else:
            answer({"seconds": seconds, "numbers": convert_numbers(name, result)})


def main() -> None:
    """Answer requests until standard input ends."""
    # Whatever a library prints goes to standard error, not between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(values: dict[str, Any]) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    _serve(iter(sys.stdin), answer)


if __name__ == "__main__":
    main()
