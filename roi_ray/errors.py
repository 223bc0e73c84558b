"""Every error that roi-ray raises on purpose.

RoiRayError
├── UsageError           an option or argument cannot be used
├── ManifestError        a manifest or another table cannot be used; names the row or the column
├── StorageError         a path or object cannot be listed, read or written
│   ├── AccessError      the storage refuses the credentials: nothing can be read or written
│   └── StorageUnavailable  the storage did not answer properly, after all retries
├── WeightsError         weights are missing, altered, or not of the expected layout
├── DeviceError          a device, such as a GPU, is not available, or too slow in the precision
├── OutputError          an output belongs to another run, or another job is writing to it
├── ClusterError         Ray cannot be reached or started
├── ServiceError         a scoring service refused or failed a request
│   └── ServiceUnavailable  it did not answer, or was busy or closing, after all retries
└── ImageError           one image cannot be scored, or encoded
    ├── NotAllowed       not below the manifest's folder, nor below an `--allow-prefix`
    ├── ImageReadError   missing, empty, truncated, or not an image
    ├── UnsupportedColour  colours that sRGB cannot represent, such as HDR (PQ, HLG)
    ├── UnusableMask     a mask without levels from 0 to 255: values 0 and 1, labels, colours
    ├── ImageTooLarge    more pixels than `--max-pixels`
    ├── ImageTooSmall    smaller than the window of SSIM
    ├── SizeMismatch     not the size of its reference
    ├── OutOfMemory      needs more memory than the device has, even alone
    ├── NonFiniteScore   a metric of the pair is infinite or not a number
    ├── CodecError       a codec of a sweep failed on the image, or cannot take it
    ├── TargetMissed     no quality of a codec meets the size or the score that was asked for
    └── WorkerDied       every process that scored or encoded the image was killed

An `ImageError`, or a `StorageError` about one image, fails the rows of that image and nothing else:
their columns `error_kind` (the name of the class) and `error` (the message) say why. Every other
error stops the job with exit code 2, most of them before it starts; committed shards stay.
"""


class RoiRayError(Exception):
    """Base class of all errors that roi-ray raises on purpose."""


class UsageError(RoiRayError):
    """An option or argument cannot be used."""


class ManifestError(RoiRayError):
    """A manifest or another table cannot be used as it is."""


class StorageError(RoiRayError):
    """A path or object cannot be listed, read or written."""


class AccessError(StorageError):
    """The storage refuses the credentials: they are wrong or have expired."""


class StorageUnavailable(StorageError):
    """The storage did not answer properly, after all retries."""


class WeightsError(RoiRayError):
    """Weights are missing, altered, or not of the expected layout."""


class DeviceError(RoiRayError):
    """A device, such as a GPU, is not available, or too slow in the precision."""


class OutputError(RoiRayError):
    """An output belongs to another run, or another job is writing to it."""


class ClusterError(RoiRayError):
    """Ray cannot be reached or started."""


class ServiceError(RoiRayError):
    """A scoring service refused or failed a request.

    Attributes:
        status: HTTP status of the answer; None if there was no answer.
        kind: `error_kind` of the answer, such as `Unauthorised`; None if it has none.
    """

    def __init__(self, message: str, status: int | None = None, kind: str | None = None) -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


class ServiceUnavailable(ServiceError):
    """A scoring service did not answer, or was busy or closing, after all retries."""


class ImageError(RoiRayError):
    """One image cannot be scored, or encoded."""


class NotAllowed(ImageError):
    """The manifest may not open this file."""


class ImageReadError(ImageError):
    """The file is missing, empty, truncated, or not an image."""


class UnsupportedColour(ImageError):
    """The image's colours have no equivalent in sRGB: HDR (PQ, HLG), or an unknown encoding."""


class UnusableMask(ImageError):
    """The values of a mask are not levels, from 0 outside the region of interest to 255 inside."""


class ImageTooLarge(ImageError):
    """The image has more pixels than allowed.

    Attributes:
        size: height and width, if the file's header names them.
    """

    def __init__(self, message: str, size: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.size = size


class ImageTooSmall(ImageError):
    """The image is smaller than the window of SSIM."""


class SizeMismatch(ImageError):
    """The image does not have the size of its reference."""


class OutOfMemory(ImageError):
    """The image needs more memory than the device has, even alone."""


class NonFiniteScore(ImageError):
    """A metric of the pair is infinite or not a number."""


class CodecError(ImageError):
    """A codec failed on the image, cannot take it, or is not available."""


class TargetMissed(ImageError):
    """No quality of a codec meets the size or the score that was asked for."""


class WorkerDied(ImageError):
    """Every process that scored or encoded the image was killed."""
