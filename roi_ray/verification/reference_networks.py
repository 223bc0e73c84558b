"""Load the networks of a run again, and refuse others."""

from dataclasses import dataclass

import torch
from torch import nn

from roi_ray.errors import UsageError, WeightsError
from roi_ray.models.discriminator import load_discriminator
from roi_ray.models.loader import Weights
from roi_ray.models.lpips import load_lpips
from roi_ray.models.networks import Provenance
from roi_ray.models.saliency import load_saliency
from roi_ray.pipeline.run_record import Run
from roi_ray.settings import DEFAULT_DISCRIMINATOR, DEFAULT_SALIENCY, LpipsName
from roi_ray.verification.packages import build_lpips

_LPIPS_BY_FILE: dict[str, LpipsName] = {
    "alex.pth": "alex",
    "vgg.pth": "vgg",
    "squeeze.pth": "squeeze",
    "alex_shift_tolerant.pth": "st-alex",
    "vgg_shift_tolerant.pth": "st-vgg",
}
"""LPIPS networks by the file of their package that a run records."""


@dataclass(frozen=True)
class ReferenceNetworks:
    """The networks of a run, in fp32.

    Attributes:
        lpips: the package's module; None if the package cannot be used.
        lpips_name: name of the LPIPS network.
        lpips_missing: why the package cannot be used, or None.
        saliency: N, as it is loaded, without the scorer's memory formats and precisions.
        discriminator: D, likewise.
        min_sides: smallest sides of images for LPIPS and for the discriminator.
    """

    lpips: nn.Module | None
    lpips_name: LpipsName
    lpips_missing: str | None
    saliency: nn.Module
    discriminator: nn.Module
    min_sides: tuple[int, int]


def load_reference_networks(
    run: Run,
    device: torch.device,
    saliency: str | None = None,
    discriminator: str | None = None,
    weights_dir: str | None = None,
) -> ReferenceNetworks:
    """Load the networks that a run's record names.

    Args:
        run: the record.
        device: where the networks shall run.
        saliency: path or URI of the saliency network, if it is not the packaged one.
        discriminator: path or URI of the discriminator, likewise.
        weights_dir: see `load_lpips`.

    Raises:
        UsageError: the run's file must be named, and was not.
        WeightsError: weights are missing, or have another SHA-256 than those of the run.
    """
    recorded: Provenance = run["config"]["weights"]
    name = _find_lpips_name(recorded["lpips"])
    network, lpips_files = load_lpips(name, weights_dir)
    n, n_file = load_saliency(_choose(saliency, recorded, "saliency", DEFAULT_SALIENCY))
    d, d_file = load_discriminator(
        _choose(discriminator, recorded, "discriminator", DEFAULT_DISCRIMINATOR)
    )
    for role, files in (
        ("lpips", lpips_files),
        ("saliency", [n_file]),
        ("discriminator", [d_file]),
    ):
        _check_same_files(role, recorded[role], files)
    if device.type == "cuda":
        # By default torch rounds the inputs of float32 convolutions to 10 bits.
        torch.backends.cudnn.allow_tf32 = False
    package, missing = None, None
    try:
        package = build_lpips(name, lpips_files).to(device)
    except ImportError as error:
        missing = f"the package of LPIPS {name} cannot be imported: {error}"
    return ReferenceNetworks(
        lpips=package,
        lpips_name=name,
        lpips_missing=missing,
        saliency=n.to(device),
        discriminator=d.to(device),
        min_sides=(network.min_side, d.min_side),
    )


def _find_lpips_name(files: list[dict[str, str]]) -> LpipsName:
    for file in files:
        if name := _LPIPS_BY_FILE.get(file["name"]):
            return name
    names = ", ".join(file["name"] for file in files)
    raise WeightsError(f"the scores were made with an LPIPS network of unknown files: {names}")


def _choose(given: str | None, recorded: Provenance, role: str, packaged: str) -> str:
    """Choose the file of a network: the user's, or the packaged one if the run used it."""
    if given is not None:
        return given
    (file,) = recorded[role]
    if file["name"] != f"{packaged}.safetensors":
        raise UsageError(
            f"the scores were made with the {role} network {file['name']} (SHA-256 "
            f"{file['sha256'][:12]}...): name that file with --{role}"
        )
    return packaged


def _check_same_files(role: str, recorded: list[dict[str, str]], files: list[Weights]) -> None:
    # By content, as a file may be renamed.
    if [file["sha256"] for file in recorded] == [file.sha256 for file in files]:
        return
    before, now = (
        ", ".join(f"{name} (SHA-256 {sha256[:12]}...)" for name, sha256 in pairs)
        for pairs in (
            [(file["name"], file["sha256"]) for file in recorded],
            [(file.name, file.sha256) for file in files],
        )
    )
    option = "--weights-dir" if role == "lpips" else f"--{role}"
    raise WeightsError(
        f"the scores were made with other {role} weights, {before}, than those at hand, {now}: "
        f"name those of the run with {option}, or score again"
    )
