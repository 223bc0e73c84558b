"""Score one pair as `Scorer` does, and read the clock between its steps."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import bit_depth_of
from roi_ray.metrics.images import ImagePair
from roi_ray.metrics.metric import RunningMeans
from roi_ray.metrics.region import Region
from roi_ray.models.networks import Networks
from roi_ray.runtime.device import Download
from roi_ray.scoring.masks import make_masks
from roi_ray.scoring.measure import load_metrics
from roi_ray.scoring.prepared import Prepared, ReferenceBatch, select_rows
from roi_ray.scoring.read import make_strips
from roi_ray.settings import Settings

_NAMES = {
    "mse": "MSE",
    "colour": "MSE of luma and chroma",
    "ms_ssim": "MS-SSIM",
    "ssimulacra2": "SSIMULACRA2",
    "lpips": "LPIPS",
    "d_loss": "discriminator",
}
_OF_REFERENCE = " of the reference"


class Laps:
    """What the steps took that followed each other.

    Args:
        device: GPU to synchronise with before the clock is read.
        flops: counter of operations, entered already; it makes the times useless.

    Attributes:
        seconds: seconds of each step.
        gflop: 10^9 floating-point operations of each step; 0 without a counter.
        gbyte: 10^9 bytes that each step reads at least; 0 if they are not counted.
    """

    def __init__(self, device: torch.device, flops: FlopCounterMode | None = None) -> None:
        self._device, self._flops = device, flops
        self.seconds: dict[str, float] = {}
        self.gflop: dict[str, float] = {}
        self.gbyte: dict[str, float] = {}

    @contextmanager
    def measure(self, name: str, gbyte: float = 0.0) -> Iterator[None]:
        """Measure a step."""
        before = self._count()
        started = self._read_clock()
        yield
        self.seconds[name] = self._read_clock() - started
        self.gflop[name] = (self._count() - before) / 1e9
        self.gbyte[name] = gbyte

    def _read_clock(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def _count(self) -> float:
        return float(self._flops.get_total_flops()) if self._flops else 0.0


class ScoringTrace:
    """Scores a pair as `Scorer` does with its default metrics, step by step.

    Args:
        networks: networks on the device.
        device: the device.
        images: copies of each image that are scored at once.
    """

    def __init__(self, networks: Networks, device: torch.device, images: int) -> None:
        self._networks, self._device, self._images = networks, device, images
        self._metrics = load_metrics(networks, ())
        self.metric_steps = [_NAMES.get(metric.name, metric.name) for metric in self._metrics]

    def prepare(self, reference: bytes, laps: Laps) -> Prepared:
        """Decode and prepare a reference, once per image.

        Args:
            reference: content of an image file of at most 1.5 megapixels.
            laps: receives the steps.
        """
        with laps.measure("decode" + _OF_REFERENCE):
            pixels = decode_image(reference)
        with laps.measure("copy" + _OF_REFERENCE):
            images = make_strips([pixels] * self._images, self._device)
        with laps.measure("saliency and mask"):
            regions = [Region(mask) for mask in make_masks(self._networks.saliency, images)]
        (strip,) = images
        rows = {}
        for metric, name in zip(self._metrics, self.metric_steps, strict=True):
            with laps.measure(name + _OF_REFERENCE, strip.samples.nbytes / 1e9):
                rows[metric.name] = metric.begin(images).prepare(strip)
            if not rows[metric.name]:
                del laps.seconds[name + _OF_REFERENCE]
        return Prepared(
            images=images.select(0),
            bit_depth=bit_depth_of(pixels),
            region=regions[0],
            metric_names=frozenset(rows),
            rows=[select_rows(rows, 0)],
        )

    def score(self, prepared: Prepared, distorted: bytes, laps: Laps) -> dict[str, float]:
        """Decode and score an image, as often as a batch has images.

        Args:
            prepared: its reference.
            distorted: content of an image file of the same size.
            laps: receives the steps.

        Returns:
            the numbers by column, of the last image.
        """
        with laps.measure("decode"):
            pixels = decode_image(distorted)
        references = ReferenceBatch([prepared], Settings().roi_weighting)
        with laps.measure("copy to planes"):
            strips = make_strips([pixels] * self._images, self._device)
            strips = replace(strips, strips=references.strips)
            (images,) = strips
        ((reference, rows),) = references.read(self._metrics)
        pair = ImagePair(reference, images)
        running = []
        for metric, name in zip(self._metrics, self.metric_steps, strict=True):
            tensors = (*rows[metric.name], reference.samples, images.samples)
            with laps.measure(name, _sum_bytes(tensors)):
                means = RunningMeans(metric, strips, references.regions)
                means.add(rows[metric.name], pair)
            running.append(means)
        numbers: dict[str, Tensor] = {}
        with laps.measure("numbers"):
            for means in running:
                whole, masked = means.combine()
                numbers |= whole | {f"roi_{name}": value for name, value in masked.items()}
            row = Download(torch.stack(list(numbers.values()), dim=1)).wait()[-1]
        return dict(zip(numbers, row, strict=True))

    def run_networks(self, reference: Tensor, distorted: Tensor, laps: Laps) -> None:
        """Run the networks alone.

        Args:
            reference: images, float32, (N, 3, H, W), channels last.
            distorted: likewise.
            laps: receives one step per network, by the name of the step that it is part of.
        """
        networks = self._networks
        with laps.measure("saliency and mask"):
            networks.saliency(reference)
        with laps.measure("LPIPS"):
            networks.lpips.extract_activations(distorted)
        with laps.measure("discriminator"):
            networks.discriminator(distorted)


def _sum_bytes(tensors: tuple[Tensor, ...]) -> float:
    return sum(tensor.nbytes for tensor in tensors) / 1e9
