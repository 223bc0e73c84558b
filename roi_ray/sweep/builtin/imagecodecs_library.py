"""What the codecs of the package imagecodecs share."""

from collections.abc import Callable

from roi_ray.errors import CodecError


def require_library(label: str, format: str, get_version: Callable[[], str]) -> str:
    """Return the name and version of a library of imagecodecs, such as `libjxl 0.11.2`.

    Args:
        label: the codec's label, for the message.
        format: the format's name, for the message.
        get_version: function of imagecodecs, such as `imagecodecs.jpegxl_version`.

    Raises:
        CodecError: the installed imagecodecs is built without the library.
    """
    try:
        version = get_version()
    except ImportError as error:  # imagecodecs.DelayedImportError
        raise _missing(label, format) from error
    if version.endswith("n/a"):
        raise _missing(label, format)
    return version


def _missing(label: str, format: str) -> CodecError:
    return CodecError(
        f"{label} is not available: this imagecodecs is built without {format}; install its wheel: "
        "pip install --force-reinstall --only-binary :all: imagecodecs"
    )
