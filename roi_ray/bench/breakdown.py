"""Time each step of scoring, add them up, and compare them with the limits of the machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

from roi_ray.bench.limits import MachineLimits, measure_limits
from roi_ray.bench.trace import Laps, ScoringTrace
from roi_ray.imaging.decode import decode_image
from roi_ray.metrics.images import Images
from roi_ray.models.networks import Networks
from roi_ray.runtime.device import upload
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Precision, Settings

_GPU_IMAGES = 24
"""Images per call on a GPU, which one image does not keep busy."""
_WEIGHTS = "weights of the mask"


@dataclass(frozen=True)
class StepTime:
    """Time of one step of scoring.

    Attributes:
        name: name of the step.
        per_reference: True if the step runs once per reference, False if once per pair.
        milliseconds: median milliseconds per reference or per pair.
        gflop: 10^9 floating-point operations of the convolutions and matrix products; 0 if none.
        gbyte: 10^9 bytes of the images and of what was prepared of the reference, which a metric
            has to read at least; 0 for other steps.
        utilisation: shortest possible time, by operations or bytes at the machine's limits, divided
            by the measured time. At most about 1, higher is better; None if nothing was counted.
        is_part: whether it is a network that another step runs, measured alone; not part of sums.
    """

    name: str
    per_reference: bool
    milliseconds: float
    gflop: float
    gbyte: float
    utilisation: float | None
    is_part: bool = False


@dataclass(frozen=True)
class Whole:
    """What the scorer itself takes, from files to numbers, measured in turns with the steps.

    Attributes:
        reference_ms: milliseconds per reference, with what its first pair takes longer.
        pair_ms: milliseconds of every other pair.
    """

    reference_ms: float
    pair_ms: float


@dataclass(frozen=True)
class Breakdown:
    """The steps of scoring.

    Attributes:
        steps: the steps in order, those of a reference first.
        whole: what the scorer takes.
        limits: highest speeds of the machine.
    """

    steps: Sequence[StepTime]
    whole: Whole
    limits: MachineLimits

    def sum_steps(self, *, per_reference: bool) -> float:
        """Add up the milliseconds of all steps of a reference, or of a pair."""
        return sum(
            step.milliseconds
            for step in self.steps
            if step.per_reference == per_reference and not step.is_part
        )


@torch.inference_mode()
def measure_steps(
    networks: Networks,
    reference: bytes,
    distorted: bytes,
    device: torch.device,
    rounds: int,
    precision: Precision = "fp32",
) -> Breakdown:
    """Time the steps of scoring, as they follow each other.

    Whole pairs and the machine's limits are measured in turns with them. On a GPU, a call
    processes many images.

    Args:
        networks: networks on the device, in the precision to measure.
        reference: content of an image file of at most 1.5 megapixels.
        distorted: content of an image file of the same size.
        device: device to measure on.
        rounds: number of measured rounds, after one of warm-up.
        precision: the precision of the networks.
    """
    images = 1 if device.type == "cpu" else _GPU_IMAGES
    trace = ScoringTrace(networks, device, images)
    settings = Settings(precision=precision)
    scorer = Scorer(settings, str(device), networks=networks, allow_slow_precision=True)
    x, y = (
        Images(upload([decode_image(data)] * images, device), 255).values
        for data in (reference, distorted)
    )
    with FlopCounterMode(display=False) as counter:
        counted = _Round(device, counter)
        counted.run_steps(trace, reference, distorted)
        trace.run_networks(x, y, counted.networks)
    dtype = next(networks.lpips.parameters()).dtype
    measured, limits = [], []
    for _ in range(rounds + 1):
        limits.append(measure_limits(device, dtype))
        measured.append(_Round(device))
        measured[-1].run_steps(trace, reference, distorted)
        trace.run_networks(x, y, measured[-1].networks)
        measured[-1].run_whole(scorer, reference, distorted, images)
    measured = measured[1:]
    whole = Whole(
        1000 * median(each.reference_seconds for each in measured),
        1000 * median(each.pair_seconds for each in measured),
    )
    # The fastest round, because other processes only ever slow it down.
    highest = MachineLimits(
        max(limit.gflops for limit in limits), max(limit.gbytes for limit in limits)
    )
    return Breakdown(_list_steps(measured, counted, highest, images), whole, highest)


def compute_network_utilisation(
    steps: Sequence[StepTime], gflops: float, per_reference: int
) -> float:
    """Compute the share of a limit in GFLOP/s that all networks together reach.

    Args:
        steps: times of the steps.
        gflops: the limit.
        per_reference: number of distorted images per reference, K.
    """
    networks = [step for step in steps if step.is_part]
    calls = [(step, 1 if step.per_reference else per_reference) for step in networks]
    gflop = sum(step.gflop * count for step, count in calls)
    seconds = sum(step.milliseconds * count for step, count in calls) / 1000
    return gflop / seconds / gflops


class _Round:
    """One round: the steps, and the scorer.

    Attributes:
        of_reference: steps of the reference.
        of_pair: steps of the second pair.
        networks: the networks alone.
        reference_seconds: seconds of the scorer per reference.
        pair_seconds: seconds of the scorer per pair.
    """

    def __init__(self, device: torch.device, flops: FlopCounterMode | None = None) -> None:
        self._device = device
        self._first, self.of_pair = Laps(device, flops), Laps(device, flops)
        self.of_reference, self.networks = Laps(device, flops), Laps(device, flops)
        self.reference_seconds = self.pair_seconds = 0.0

    def run_steps(self, trace: ScoringTrace, reference: bytes, distorted: bytes) -> None:
        """Score two pairs step by step."""
        prepared = trace.prepare(reference, self.of_reference)
        for laps in (self._first, self.of_pair):
            trace.score(prepared, distorted, laps)
        # The first pair of a reference computes the weights of its mask, and keeps them.
        self.of_reference.seconds[_WEIGHTS] = max(
            0.0,
            sum(
                self._first.seconds[name] - self.of_pair.seconds[name]
                for name in trace.metric_steps
            ),
        )

    def run_whole(self, scorer: Scorer, reference: bytes, distorted: bytes, images: int) -> None:
        """Score two pairs by the scorer."""
        whole = Laps(self._device)
        with whole.measure("reference"):
            pixels = [decode_image(reference) for _ in range(images)]
            prepared = scorer.prepare_all(pixels, [None] * images)[0]
        for name in ("first pair", "pair"):
            with whole.measure(name):
                scorer.score(prepared, [decode_image(distorted) for _ in range(images)])
        first = whole.seconds["first pair"] - whole.seconds["pair"]
        self.pair_seconds = whole.seconds["pair"] / images
        self.reference_seconds = whole.seconds["reference"] / images + max(0.0, first)


def _list_steps(
    rounds: Sequence[_Round], counted: _Round, limits: MachineLimits, images: int
) -> list[StepTime]:
    """Compute the medians of all steps, and compare them with the limits."""
    steps = []
    # A file is decoded once for all copies, and what a reference's pairs share is of one reference.
    once = {"decode of the reference", "decode", _WEIGHTS}
    select: tuple[tuple[bool, Callable[[_Round], Laps]], ...] = (
        (True, lambda each: each.of_reference),
        (False, lambda each: each.of_pair),
    )
    for per_reference, get_laps in select:
        for name in get_laps(rounds[0]).seconds:
            count = 1 if name in once else images
            seconds = median(get_laps(each).seconds[name] for each in rounds) / count
            laps = get_laps(counted)
            work = laps.gflop.get(name, 0.0) / count, laps.gbyte.get(name, 0.0) / count
            steps.append(_make_step(name, per_reference, seconds, work, limits))
            base = name.removesuffix(" of the reference")
            if base in counted.networks.seconds:
                seconds = median(each.networks.seconds[base] for each in rounds) / images
                work = counted.networks.gflop[base] / images, 0.0
                network = f"{base.removesuffix(' and mask')} network"
                part = _make_step(network, per_reference, seconds, work, limits, True)
                steps.append(part)
    return steps


def _make_step(
    name: str,
    per_reference: bool,
    seconds: float,
    work: tuple[float, float],
    limits: MachineLimits,
    is_part: bool = False,
) -> StepTime:
    gflop, gbyte = work
    shortest = max(gflop / limits.gflops, gbyte / limits.gbytes)
    utilisation = shortest / seconds if shortest and seconds else None
    return StepTime(name, per_reference, 1000 * seconds, gflop, gbyte, utilisation, is_part)
