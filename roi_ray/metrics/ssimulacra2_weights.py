"""SSIMULACRA2's 108 weights, and the number they make of the norms of its maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

MAX_SCALES = 6
Y = 1
"""Number of the channel Y of XYB, the luminance."""
SSIM, ARTEFACT, DETAIL = range(3)
"""Kinds of maps: the SSIM-like error, artefacts, lost detail."""

_CHANNELS, _NORMS, _KINDS = 3, 2, 3

# Each row is a scale, finest first: weights of the 1-norms of the SSIM-like error, artefacts and
# lost detail, then of their 4-norms.
# fmt: off
_WEIGHTS = (
    # X
    (0, 0.0007376606707406586, 0, 0, 0.0007793481682867309, 0),
    (0, 0.0004371155730107379, 0, 1.1041726426657346, 0.00066284834129271, 0.00015231632783718752),
    (0, 0.0016406437456599754, 0, 1.8422455520539298, 11.441172603757666, 0),
    (0.0007989109436015163, 0.000176816438078653, 0, 1.8787594979546387, 10.94906990605142, 0),
    (0.0007289346991508072, 0.9677937080626833, 0,
     0.00014003424285435884, 0.9981766977854967, 0.00031949755934435053),
    (0.0004550992113792063, 0, 0, 0.0013648766163243398, 0, 0),
    # Y
    (0, 0, 0, 7.466890328078848, 0, 17.445833984131262),
    (0.0006235601634041466, 0, 0, 6.683678146179332, 0.00037724407979611296, 1.027889937768264),
    (225.20515300849274, 0, 0, 19.213238186143016, 0.0011401524586618361, 0.001237755635509985),
    (176.39317598450694, 0, 0, 24.43300999870476, 0.28520802612117757, 0.0004485436923833408),
    (0, 0, 0, 34.77906344483772, 44.835625328877896, 0),
    (0, 0, 0, 0, 0, 0),
    # B
    (0, 0.0008680556573291698, 0, 0, 0, 0),
    (0, 0.0005313191874358747, 0, 0.00016533814161379112, 0, 0),
    (0, 0, 0, 0.0004179171803251336, 0.0017290828234722833, 0),
    (0.0020827005846636437, 0, 0, 8.826982764996862, 23.19243343998926, 0),
    (95.1080498811086, 0.9863978034400682, 0.9834382792465353,
     0.0012286405048278493, 171.2667255897307, 0.9807858872435379),
    (0, 0, 0, 0.0005130064588990679, 0, 0.00010854057858411537),
)
# fmt: on


@dataclass(frozen=True)
class Channel:
    """The maps that are needed of a channel at a scale: those whose weights are not 0.

    Attributes:
        scale: 0 for the image itself, 1 for half its size, ...
        index: 0, 1, 2 for X, Y, B.
        terms: norm (0 for the 1-norm, 1 for the 4-norm), kind of map, and weight.
    """

    scale: int
    index: int
    terms: tuple[tuple[int, int, float], ...]

    @property
    def has_ssim(self) -> bool:
        """Whether the SSIM-like error is needed."""
        return any(kind == SSIM for _, kind, _ in self.terms)


@cache
def list_channels(scales: int) -> list[Channel]:
    """List what the number of an image with so many scales is made of, scale by scale.

    The reference tool reads its weights one after another. If there are fewer than six scales, the
    channels Y and B get weights that were meant for others; it is so here too.
    """
    weights = torch.tensor(_WEIGHTS, dtype=torch.float64)[: _CHANNELS * scales]
    table = weights.view(_CHANNELS, scales, _NORMS, _KINDS).tolist()
    channels = []
    for scale in range(scales):
        for index in range(_CHANNELS):
            norms = table[index][scale]
            terms = [
                (norm, kind, weight)
                for norm in range(_NORMS)
                for kind, weight in enumerate(norms[norm])
                if weight
            ]
            channels.append(Channel(scale, index, tuple(terms)))
    return [channel for channel in channels if channel.terms]


def combine_norms(means: Sequence[Tensor], only: int | None = None) -> Tensor:
    """Turn the means of the maps into the number.

    Args:
        means: one (N, terms) per entry of `list_channels`: means of the map for a 1-norm, of its
            fourth power for a 4-norm, float64.
        only: number of the channel whose errors count, 0 to 2 for X, Y and B; None for all.

    Returns:
        (N,), at most 100.
    """
    # The number of channels that are needed tells the number of scales: it grows with them.
    (scales,) = (
        count for count in range(1, MAX_SCALES + 1) if len(list_channels(count)) == len(means)
    )
    values = torch.cat(list(means), dim=1)
    weights, is_fourth_power = (each.to(values.device) for each in _list_terms(scales, only))
    norms = torch.where(is_fourth_power, values.sqrt().sqrt(), values)
    error = (norms * weights).cumsum(1)[:, -1]  # in this order, whatever the number of images
    error *= 0.9562382616834844
    error = (
        2.326765642916932 * error
        - 0.020884521182843837 * error**2
        + 6.248496625763138e-05 * error**3
    )
    return 100 - 10 * error.clamp(min=0) ** 0.6276336467831387


@cache
def _list_terms(scales: int, only: int | None) -> tuple[Tensor, Tensor]:
    """List the weights of all terms, 0 for other channels, and whether they are 4-norms."""
    terms = [
        (weight if only in (None, channel.index) else 0.0, norm == 1)
        for channel in list_channels(scales)
        for norm, _, weight in channel.terms
    ]
    weights, is_fourth_power = zip(*terms, strict=True)
    return torch.tensor(weights, dtype=torch.float64), torch.tensor(is_fourth_power)
