"""Everything that roi-ray raises on purpose.

RoiRayError
├── UsageError           an option or argument that cannot be used
├── ManifestError        a manifest or table that cannot be used; names the row or the column
├── StorageError         a path or object that cannot be listed, read or written
│   ├── AccessError      none can be: the credentials are wrong or have expired
│   └── StorageUnavailable  the storage did not answer, or not as it should, time and again
├── WeightsError         weights that are missing, altered, or not of the layout asked for
├── DeviceError          a device, such as a GPU, that is not available
├── OutputError          an output that belongs to another run, or cannot take this one's results
├── ClusterError         a Ray that cannot be reached or started
└── ImageError           one image that cannot be scored; becomes the `error` text of its rows
    ├── NotAllowed       not below the manifest's folder, nor below `--allow-prefix`
    ├── ImageReadError   missing, empty, truncated, or not an image
    ├── ImageTooLarge    more pixels than `--max-pixels` allows
    ├── ImageTooSmall    smaller than SSIM's window
    ├── OutOfMemory      needs more memory than the device has left
    └── SizeMismatch     not of its reference's size

An `ImageError` costs the rows it concerns and nothing else, and so does a `StorageError` of one
image. Every other error stops a job, with exit code 2: most of them before it starts; an
`AccessError`, and a `StorageError` of the output, at any time. What is done by then stays done.
"""


def kind_of(error: str) -> str:
    """What kind of error a row's `error` text tells of: what stands before its first colon."""
    return error.split(":", 1)[0]


class RoiRayError(Exception):
    """Base of all errors that roi-ray raises on purpose."""


class UsageError(RoiRayError):
    """An option or argument cannot be used."""


class ManifestError(RoiRayError):
    """The manifest cannot be used as it is."""


class StorageError(RoiRayError):
    """A path or object cannot be listed, read or written."""


class AccessError(StorageError):
    """The credentials are wrong or have expired: nothing can be listed, read or written."""


class StorageUnavailable(StorageError):
    """The storage did not answer, or not as it should, time and again."""


class WeightsError(RoiRayError):
    """Weights are missing, altered, or not of the layout asked for."""


class DeviceError(RoiRayError):
    """A device, such as a GPU, is not available."""


class OutputError(RoiRayError):
    """The output belongs to another run, or cannot take this one's results."""


class ClusterError(RoiRayError):
    """No Ray can be reached or started."""


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
