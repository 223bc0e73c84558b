"""The masks of the region of interest that the scores of a run were measured under."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from roi_ray import schema
from roi_ray.errors import UnusableMask, WeightsError
from roi_ray.imaging.pixels import Pixels, Pixels8
from roi_ray.pipeline.run_record import Run
from roi_ray.report.gallery.files import GalleryFiles
from roi_ray.settings import DEFAULT_SALIENCY

if TYPE_CHECKING:
    from roi_ray.models.saliency import Saliency

_FRACTION_TOLERANCE = 0.005
"""Largest difference of a mask's mean from `roi_fraction`; half precision stays below a tenth."""


class GalleryMasks:
    """Masks of references: the file that a row names, or what the run's network makes.

    Args:
        files: reader of the rows' files.
        run: record of the run; None if there is none.
        saliency: path or URI of the run's saliency network, if it is not the packaged one.
    """

    def __init__(self, files: GalleryFiles, run: Run | None, saliency: str | None) -> None:
        self._files, self._run, self._saliency = files, run, saliency
        self._network: Saliency | WeightsError | None = None

    def find(self, row: Mapping[str, Any], reference: Pixels) -> tuple[Pixels8, str]:
        """Find the mask of a row.

        Returns:
            uint8, (H, W), 255 inside the region of interest; and where it is from, in words.

        Raises:
            RoiRayError: there is none, in one sentence.
        """
        if uri := row.get(schema.MASK):
            mask, source = self._files.read_mask(uri, reference), f"the file {uri}"
        else:
            mask, source = self._make(reference), f"the saliency network {self._network_name()}"
        scored = row.get(schema.ROI_FRACTION) if self._run else None
        if scored is not None and abs(mask.mean() / 255 - scored) > _FRACTION_TOLERANCE:
            raise UnusableMask(
                f"{source} gives another mask now than when the image was scored: its mean is "
                f"{mask.mean() / 255:.3f} and was {scored:.3f}"
            )
        return mask, source

    def _make(self, reference: Pixels) -> Pixels8:
        import torch  # takes seconds to import, and runs with masks of their own need none

        from roi_ray.scoring.masks import make_masks
        from roi_ray.scoring.read import make_strips

        network = self._load_network()
        with torch.inference_mode():
            mask = make_masks(network, make_strips([reference], torch.device("cpu")))[0]
        levels: Pixels8 = np.rint(mask.numpy() * 255).astype(np.uint8)
        return levels

    def _load_network(self) -> "Saliency":
        if self._network is None:
            try:
                self._network = _load(self._recorded(), self._saliency)
            except WeightsError as error:
                self._network = error  # the same for every image
        if isinstance(self._network, WeightsError):
            raise self._network
        return self._network

    def _network_name(self) -> str:
        return self._recorded()["name"].removesuffix(".safetensors")

    def _recorded(self) -> dict[str, str]:
        message = "the scores do not say which network made the masks"
        if self._run is None:
            raise WeightsError(message)
        try:
            (file,) = self._run["config"]["weights"]["saliency"]
            return {"name": str(file["name"]), "sha256": str(file["sha256"])}
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(message) from error


def _load(recorded: Mapping[str, str], source: str | None) -> "Saliency":
    from roi_ray.models.saliency import load_saliency

    name, sha256 = recorded["name"], recorded["sha256"]
    if source is None and name != f"{DEFAULT_SALIENCY}.safetensors":
        raise WeightsError(
            f"the scores were made with the saliency network {name}, which is not packaged"
        )
    network, weights = load_saliency(source or DEFAULT_SALIENCY)
    if weights.sha256 != sha256:
        raise WeightsError(
            f"the scores were made with another version of the saliency network {name} (SHA-256 "
            f"{sha256[:12]}...)"
        )
    return network
