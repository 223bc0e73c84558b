"""The generator G: a small network that makes decoded images look like originals again."""

import torch.nn.functional as F
from torch import Tensor, nn

_WIDTH = 32
_BLOCKS = 4


class Restorer(nn.Module):
    """Network that restores decoded images.

    Residual blocks without batch norm (EDSR: Lim et al., CVPR workshops 2017) predict what to add
    to the image. They work at half the resolution, which takes a quarter of the time. Before
    training the network is the identity.
    """

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(12, _WIDTH, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1),
            )
            for _ in range(_BLOCKS)
        )
        self.tail = nn.Conv2d(_WIDTH, 12, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, decoded: Tensor) -> Tensor:
        """Restore decoded images.

        Args:
            decoded: float, (N, 3, H, W), in [0, 1]; H and W are even.

        Returns:
            restored images, (N, 3, H, W), in [0, 1].
        """
        x = self.head(F.pixel_unshuffle(decoded, 2))
        for block in self.blocks:
            x = x + block(x)
        return (decoded + F.pixel_shuffle(self.tail(x), 2)).clamp(0, 1)
