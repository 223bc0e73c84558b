"""Compute the numbers of a pair by the reference implementations and the literal method."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.imaging.pixels import bit_depth_of
from roi_ray.settings import Weighting
from roi_ray.verification import literal, packages
from roi_ray.verification.files import Pair, to_unit_range
from roi_ray.verification.reference_networks import ReferenceNetworks

_LITERAL = "literal method"
_NUMPY = "numpy, float64"
# The package `ssimulacra2` filters borders in another way than the reference tool, whose numbers
# the scorer gives: they are up to 7 points apart, so that comparing with it would say nothing.
_NO_SSIMULACRA2 = "no package computes the reference tool's numbers"


class PairComputer:
    """The slow way from decoded files to numbers.

    Args:
        networks: the networks of the run.
        weighting: weighting of the mask.
        device: where the networks are.
        columns: columns of the scores.

    Attributes:
        sources: what each column that can be checked is computed with.
        not_checked: why the other columns cannot be checked.
    """

    def __init__(
        self,
        networks: ReferenceNetworks,
        weighting: Weighting,
        device: torch.device,
        columns: tuple[str, ...],
    ) -> None:
        self._networks, self._weighting, self._device = networks, weighting, str(device)
        self._mask_key: tuple[str, str] | None = None
        self._mask: literal.Array = np.zeros((0, 0))
        known = self._list_sources()
        reasons = self._list_reasons()
        self.sources = {name: known[name] for name in columns if name in known}
        self.not_checked = {
            name: reasons.get(name, "there is no second implementation of it here")
            for name in columns
            if name not in known
        }

    def compute(self, pair: Pair) -> dict[str, float | None]:
        """Compute the numbers of a pair, by column; None where they must be null."""
        x, y = to_unit_range(pair.reference), to_unit_range(pair.distorted)
        numbers = literal.compute_scores(
            x,
            y,
            self._find_mask(pair, x),
            self._weighting,
            self._networks.lpips,
            self._networks.discriminator,
            self._networks.min_sides,
            self._device,
        )
        numbers |= {
            "width": x.shape[1],
            "height": x.shape[0],
            "reference_bit_depth": bit_depth_of(pair.reference),
            "distorted_bit_depth": bit_depth_of(pair.distorted),
            "ms_ssim_scales": literal.count_scales(*x.shape[:2]),
        }
        if (ms_ssim := packages.compute_ms_ssim(x, y)) is not None:
            numbers["ms_ssim"] = ms_ssim
        else:
            self.sources["ms_ssim"] = f"pytorch_msssim; {_LITERAL} for small images"
        return numbers

    def measure_rounding(self, pair: Pair, numbers: Mapping[str, float | None]) -> float:
        """Measure how far MS-SSIM of a pair is off in float32, by the same literal method.

        Args:
            pair: the decoded files.
            numbers: what `compute` returned.
        """
        x, y = (to_unit_range(image) for image in (pair.reference, pair.distorted))
        single = (x.astype(np.float32), y.astype(np.float32))
        whole = literal.ms_ssim(*single, lambda level: float(level.mean(dtype=np.float64)))
        error = abs(whole - (numbers["ms_ssim"] or 0.0))
        if (roi := numbers["roi_ms_ssim"]) is not None:
            mask = self._find_mask(pair, x)
            masked = literal.masked_ms_ssim(*single, mask, self._weighting)
            error = max(error, abs(masked - roi))
        return error

    def _find_mask(self, pair: Pair, x: NDArray[np.float64]) -> literal.Array:
        """Return R of a pair, (H, W): given, or by the saliency network."""
        if pair.mask is not None:
            return pair.mask / 255
        if self._mask_key != pair.mask_key:
            self._mask = literal.find_mask(self._networks.saliency, x, self._device)
            self._mask_key = pair.mask_key
        return self._mask

    def _list_sources(self) -> dict[str, str]:
        exact = ("width", "height", "reference_bit_depth", "distorted_bit_depth", "ms_ssim_scales")
        in_numpy = ("mse", "psnr", "mse_y", "mse_cb", "mse_cr", "texture_gained", "texture_lost")
        basic = {
            **dict.fromkeys(in_numpy, _NUMPY),
            "ms_ssim": "pytorch_msssim",
            "d_loss": "plain network",
        }
        if self._networks.lpips is not None:
            shift_tolerant = self._networks.lpips_name.startswith("st-")
            basic["lpips"] = "stlpips_pytorch" if shift_tolerant else "lpips"
        roi = {f"roi_{name}": _LITERAL for name in (*basic, "fraction")}
        return {**dict.fromkeys(exact, "decoded files"), **basic, **roi}

    def _list_reasons(self) -> dict[str, str]:
        reasons = {
            name: _NO_SSIMULACRA2
            for name in schema.QUALITY_COLUMNS
            if schema.optional_metric(name) == "ssimulacra2"
        }
        if self._networks.lpips_missing is not None:
            reasons |= dict.fromkeys(("lpips", "roi_lpips"), self._networks.lpips_missing)
        return reasons
