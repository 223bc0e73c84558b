"""Everything that roi-ray raises on purpose.

RoiRayError
├── ManifestError        a manifest that cannot be used; names the row or the column
├── StorageError         a path or object that cannot be listed, read or written
├── WeightsError         weights that are missing, altered, or not of the layout asked for
├── OutputError          an output that belongs to another run, or cannot take this one's results
└── ImageError           one image that cannot be scored; becomes the `error` text of its rows
    ├── NotAllowed       not below the manifest's folder, nor below `--allow-prefix`
    ├── ImageReadError   missing, empty, truncated, or not an image
    ├── ImageTooLarge    more pixels than `--max-pixels` allows
    ├── ImageTooSmall    smaller than SSIM's window
    ├── OutOfMemory      needs more memory than the device has left
    └── SizeMismatch     not of its reference's size

An `ImageError` costs the rows it concerns and nothing else. Every other error stops a job before
it starts, with exit code 2.
"""


def kind_of(error: str) -> str:
    """What kind of error a row's `error` text tells of: what stands before its first colon."""
    return error.split(":", 1)[0]


class RoiRayError(Exception):
    """Base of all errors that roi-ray raises on purpose."""


class ManifestError(RoiRayError):
    """The manifest cannot be used as it is."""


class StorageError(RoiRayError):
    """A path or object cannot be listed, read or written."""


class WeightsError(RoiRayError):
    """Weights are missing, altered, or not of the layout asked for."""


class OutputError(RoiRayError):
    """The output belongs to another run, or cannot take this one's results."""


class ImageError(RoiRayError):
    """One image cannot be scored."""


class NotAllowed(ImageError):
    """The manifest may not have this file opened."""


class ImageReadError(ImageError):
    """The file is missing, empty, truncated, or not an image."""


class ImageTooLarge(ImageError):
    """The image has more pixels than allowed."""


class ImageTooSmall(ImageError):
    """The image is smaller than SSIM's window."""


class OutOfMemory(ImageError):
    """The image needs more memory than there is, even by itself."""


class SizeMismatch(ImageError):
    """An image is not of its reference's size."""
