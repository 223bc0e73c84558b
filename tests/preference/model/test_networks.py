import torch

from roi_ray import schema
from roi_ray.preference.model.networks import build
from roi_ray.preference.model.recipes import RECIPES


def test_paper_network_has_the_published_widths():
    network = build(RECIPES["paper"], len(schema.PAPER_FEATURES))
    shapes = [tuple(p.shape) for p in network.parameters() if p.ndim == 2]
    assert shapes == [(192, 16), (64, 192), (64, 64), (32, 64), (2, 32)]
    logits = network(torch.zeros(7, 8), torch.ones(7, 8))
    assert logits.shape == (7,)
