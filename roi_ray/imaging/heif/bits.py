"""Read numbers of any count of bits from the headers of compressed streams."""

from roi_ray.errors import ImageReadError


class BitReader:
    """Reads big-endian bit fields one after the other.

    Args:
        data: the bytes to read.
        name: what they are, for the error message.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._value, self._left, self._name = int.from_bytes(data), 8 * len(data), name

    def read(self, count: int) -> int:
        """Read an unsigned number of `count` bits, the most significant first.

        Raises:
            ImageReadError: the data ends before.
        """
        self._left -= count
        if self._left < 0:
            raise ImageReadError(f"cannot be decoded: {self._name} is truncated")
        return self._value >> self._left & (1 << count) - 1

    def read_exp_golomb(self) -> int:
        """Read an unsigned exponential-Golomb code: `uvlc()` in AV1, `ue(v)` in HEVC."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)
