"""Masks of large images, made in strips, against those of whole images."""

import numpy as np
import pytest
import torch

from roi_ray.metrics import strips
from roi_ray.metrics.strips import ImageStrips
from roi_ray.models.saliency import U2NETP, Saliency, build_u2net, load_saliency
from roi_ray.models.u2net import U2Net
from roi_ray.scoring.masks import make_masks


def build_random_u2netp() -> Saliency:
    torch.manual_seed(1)
    shapes = {name: tuple(t.shape) for name, t in U2Net(U2NETP).state_dict().items()}
    return build_u2net(shapes).eval()


@pytest.mark.parametrize(
    ("network", "size"),
    [
        ("packaged", (300, 451)),
        ("packaged", (65, 451)),
        ("packaged", (97, 64)),
        ("u2netp", (131, 151)),
        ("u2netp", (97, 64)),
    ],
)
@torch.inference_mode()
def test_masks_from_strips_equal_those_of_whole_images(photos, monkeypatch, network, size) -> None:
    saliency = load_saliency()[0] if network == "packaged" else build_random_u2netp()
    height, width = size
    images = [photos[name][:height, :width] for name in ("chelsea", "coffee")]
    samples = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    whole = make_masks(saliency, ImageStrips.from_samples(samples, 255))
    monkeypatch.setattr(strips, "WHOLE_PIXELS", 0)
    monkeypatch.setattr(strips, "STRIP_PIXELS", {"cpu": 32 * width})
    references = ImageStrips.from_samples(samples, 255)
    assert len(references.strips) == height // 32
    ours = make_masks(saliency, references)
    assert ours.shape == whole.shape
    torch.testing.assert_close(ours, whole, rtol=0, atol=1e-5)
