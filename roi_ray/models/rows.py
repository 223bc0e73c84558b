"""Networks that see an image in strips of rows, from top to bottom, as if they saw it whole.

Rows that a layer needs of the strips before are kept, so that nothing is computed twice.
"""

from collections.abc import Callable, Iterable

from torch import Tensor, nn

from roi_ray.models.instance_norm import FrozenInstanceNorm
from roi_ray.models.row_operations import flatten, list_operations


class RowChain:
    """Layers that run one after the other over one image, strip by strip.

    Args:
        layers: the layers; see `list_operations` for those that are known.

    Raises:
        UsageError: a layer is not known.
    """

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        self._operations = [
            (operation, operation.make_buffer()) for operation in list_operations(layers)
        ]

    def __call__(self, rows: Tensor, is_last: bool) -> Tensor:
        """Run the layers on the next rows.

        Args:
            rows: the next rows of N images, (N, C, rows, W); may be none.
            is_last: whether these are the last rows of the images.

        Returns:
            the next rows of the last layer's output, (N, C', rows, W'); (N, 0, 0, 0) for none.
        """
        count = len(rows)
        for operation, buffer in self._operations:
            window = buffer.push(rows, is_last)
            rows = rows.new_empty(count, 0, 0, 0)  # lets the rows go that the window has copied
            if window is not None:
                rows = operation.run(window)
            del window  # a copy, no longer needed
        return rows


def count_rows(layers: Iterable[nn.Module], height: int) -> int:
    """Return the number of output rows of an image with this number of rows.

    Raises:
        UsageError: a layer is not known.
    """
    for operation in list_operations(layers):
        height = operation.count_rows(height)
    return height


def freeze_instance_norms(
    layers: Iterable[nn.Module], read: Callable[[], Iterable[tuple[Tensor, bool]]]
) -> list[nn.Module]:
    """Replace each instance norm by one that knows its statistics of the whole images.

    The images are read once per instance norm.

    Args:
        layers: the layers, in the order in which they run.
        read: reads what the first layer sees, in strips (N, C, rows, W) from top to bottom, each
            with whether it is the last one.

    Returns:
        the layers, which are not copied, and the frozen norms.
    """
    frozen: list[nn.Module] = []
    for layer in flatten(layers):
        if isinstance(layer, nn.InstanceNorm2d):
            chain = RowChain(frozen)
            outputs = (chain(rows, is_last) for rows, is_last in read())
            frozen.append(FrozenInstanceNorm(layer, outputs))
        else:
            frozen.append(layer)
    return frozen
