"""Resizing in strips, against torch's resizing of whole images."""

import pytest
import torch
import torch.nn.functional as F

from roi_ray.metrics.strips import split_into_strips
from roi_ray.models.resize import enlarge_rows, shrink_rows


@pytest.mark.parametrize("size", [(300, 451), (97, 64), (33, 200), (64, 7)])
@pytest.mark.parametrize("rows", [32, 35, 200])
@pytest.mark.parametrize("strip_rows", [32, 64])
def test_shrunk_rows_equal_the_whole_image(photos, size, rows, strip_rows) -> None:
    height, width = size
    x = torch.from_numpy(photos["chelsea"][:height, :width] / 255).float().permute(2, 0, 1)[None]
    strips = split_into_strips(size, strip_rows * width)
    ours = shrink_rows(((s, x[:, :, s.start : s.end]) for s in strips), height, rows)
    whole = F.interpolate(x, size=(rows, width), mode="bilinear", antialias=True)
    torch.testing.assert_close(ours, whole, rtol=0, atol=2e-6)


@pytest.mark.parametrize("size", [(301, 451), (1000, 37), (20, 30)])
def test_enlarged_rows_equal_the_whole_image(photos, size) -> None:
    x = torch.from_numpy(photos["chelsea"][:40, :52] / 255).float().permute(2, 0, 1)[None]
    whole = F.interpolate(x, size=size, mode="bilinear")
    for strip in split_into_strips(size, 32 * size[1]):
        ours = enlarge_rows(x, strip, size[1])
        torch.testing.assert_close(ours, whole[:, :, strip.start : strip.end], rtol=0, atol=2e-6)
