"""Files of references that clients sent, kept as long as they fit into a number of bytes."""

from collections import OrderedDict
from dataclasses import replace

from roi_ray.service.backend import ImageFile


class ReferenceStore:
    """Files of references by hash; those not used for the longest time are dropped first.

    Args:
        max_bytes: largest sum of the sizes of the files. A larger file is not kept.

    Attributes:
        nbytes: sum of the sizes of the files.

    Examples:
        >>> store = ReferenceStore(max_bytes=10)
        >>> store.put(ImageFile("x.png", b"123456", "a1"))
        True
        >>> store.put(ImageFile("y.png", b"12345", "b2"))
        True
        >>> store.size("a1"), store.size("b2"), store.get("b2").name
        (None, 5, 'sha256:b2')
    """

    def __init__(self, max_bytes: int) -> None:
        self.nbytes = 0
        self._max_bytes = max_bytes
        self._files: OrderedDict[str, ImageFile] = OrderedDict()

    def __len__(self) -> int:
        return len(self._files)

    def put(self, reference: ImageFile) -> bool:
        """Keep a file, under its hash as its name; return whether it is new."""
        if reference.sha256 in self._files:
            self._files.move_to_end(reference.sha256)
            return False
        if len(reference.data) <= self._max_bytes:
            # Other clients, who know the hash, do not see the name.
            named = replace(reference, name=f"sha256:{reference.sha256}")
            self._files[reference.sha256] = named
            self.nbytes += len(reference.data)
        while self.nbytes > self._max_bytes:
            _, dropped = self._files.popitem(last=False)
            self.nbytes -= len(dropped.data)
        return True

    def size(self, sha256: str) -> int | None:
        """Return the bytes of a file; None if it is not kept."""
        file = self.get(sha256)
        return None if file is None else len(file.data)

    def get(self, sha256: str) -> ImageFile | None:
        """Return the file with this hash; None if it is not kept."""
        file = self._files.get(sha256)
        if file is not None:
            self._files.move_to_end(sha256)
        return file
