from collections.abc import Iterator
from itertools import pairwise, product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.metrics.strips import RowBuffer, split_into_strips


def list_splits(height: int) -> Iterator[list[int]]:
    """List all ways to cut so many rows into strips of one row or more."""
    for cuts in product((False, True), repeat=height - 1):
        ends = [row + 1 for row, is_cut in enumerate(cuts) if is_cut]
        yield [end - start for start, end in pairwise([0, *ends, height])]


def run_in_strips(operation, buffer: RowBuffer, image: Tensor, rows: list[int]) -> list[Tensor]:
    """Apply an operation to the windows of strips."""
    results, strips = [], image.split(rows, dim=-2)
    for number, strip in enumerate(strips):
        window = buffer.push(strip, is_last=number == len(strips) - 1)
        if window is not None:
            assert window.rows.shape[-2]
            results.append(operation(window.rows, window.above, window.below))
    return results


def draw_image(height: int) -> Tensor:
    # Integers, whose sums are exact.
    draw = torch.Generator().manual_seed(height)
    return torch.randint(-9, 10, (2, 1, height, 3), generator=draw).double()


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_windows_of_all_splits_give_the_convolution_of_the_whole(kernel, stride) -> None:
    weight = torch.arange(1, kernel + 1, dtype=torch.float64).view(1, 1, kernel, 1)

    def convolve(image, above, below):
        return F.conv2d(F.pad(image, (0, 0, above, below)), weight, stride=stride)

    paddings = {(0, 0), (kernel // 2, kernel // 2), (0, kernel - 1), (kernel - 1, 0)}
    for height, (above, below) in product(range(1, 8), paddings):
        image = draw_image(height)
        fits = height + above + below >= kernel
        expected = convolve(image, above, below) if fits else image[:, :, :0]
        for rows in list_splits(height):
            buffer = RowBuffer(kernel, stride, above, below)
            parts = run_in_strips(convolve, buffer, image, rows)
            result = torch.cat(parts, dim=-2) if parts else image[:, :, :0]
            assert torch.equal(result, expected), (height, above, below, rows)


@pytest.mark.parametrize("height", [1, 2, 3, 4, 6, 7, 11])
def test_strips_may_have_no_rows(height) -> None:
    image = draw_image(height)

    def add(rows, above, below):
        rows = F.pad(rows, (0, 0, above, below))
        return rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]

    for rows in ([0, height, 0], [0, 0, 1, 0, height - 1, 0, 0], [height - 1, 0, 1]):
        parts = run_in_strips(add, RowBuffer(3, padding=1), image, rows)
        assert torch.equal(torch.cat(parts, dim=-2), add(image, 1, 1)), rows


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (2, 2), (3, 3)])
def test_pooling_that_rounds_up_sees_rows_below_the_image(kernel, stride) -> None:
    def pool(rows, above, below):
        rows = F.pad(rows, (0, 0, above, below), value=-torch.inf)
        return F.max_pool2d(rows, (kernel, 1), stride=(stride, 1))

    for height in range(kernel, 8):
        image = draw_image(height)
        expected = F.max_pool2d(image, (kernel, 1), stride=(stride, 1), ceil_mode=True)
        for rows in list_splits(height):
            buffer = RowBuffer(kernel, stride, padding_below=stride - 1)
            parts = run_in_strips(pool, buffer, image, rows)
            assert torch.equal(torch.cat(parts, dim=-2), expected), (height, rows)


def test_buffer_keeps_no_more_rows_than_the_next_window_needs() -> None:
    buffer = RowBuffer(11, padding=5)
    for _ in range(5):
        buffer.push(torch.zeros(1, 3, 64, 50), is_last=False)
        assert buffer._kept.untyped_storage().nbytes() == 3 * 10 * 50 * 4


@pytest.mark.parametrize("width", [1, 50, 451, 8192, 20000])
@pytest.mark.parametrize("height", [1, 31, 32, 33, 63, 64, 65, 1000, 4001])
def test_strips_cover_the_image_in_multiples_of_32_rows(height, width) -> None:
    strips = split_into_strips((height, width), pixels=1 << 18)
    assert [strip.start for strip in strips] == [0, *(strip.end for strip in strips[:-1])]
    assert strips[-1].end == height
    assert all(strip.height == height for strip in strips)
    rows = {strip.end - strip.start for strip in strips[:-1]}
    last = strips[-1].end - strips[-1].start
    if rows:
        (regular,) = rows
        assert regular % 32 == 0
        assert regular == 32 or regular * width <= 1 << 18
        assert regular <= last < 2 * regular
    else:
        assert strips[0].is_whole
        assert strips[0].is_last
