"""What the built-in codecs share: options, timing, and library errors as errors of the image."""

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self, TypeVar

from roi_ray.errors import CodecError
from roi_ray.sweep.builtin.options import (
    Option,
    Options,
    OptionValue,
    check_label,
    make_label,
    read_options,
    write_settings,
)
from roi_ray.sweep.codec import Codec, Decoded, Encoded, QualityScale
from roi_ray.sweep.source import SourceImage

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class BuiltinCodec(Codec):
    """A codec of a library that runs within this process, in the calling thread alone.

    Its times are those of the thread, so that other work of the process does not count.

    Attributes:
        values: the values of all options, as pairs.
        name: name of the codec.
        description: what it is, in a few words.
        options: its options.
        variants: options that change its library or its quality scale.
        file_suffix: suffix of its files, with the dot.
        max_side: longest side that its encoder and decoder take, in pixels; None for no limit.
    """

    values: tuple[tuple[str, OptionValue], ...]
    name: ClassVar[str]
    description: ClassVar[str]
    options: ClassVar[tuple[Option, ...]]
    variants: ClassVar[tuple[Mapping[str, OptionValue], ...]] = ()
    file_suffix: ClassVar[str]
    max_side: ClassVar[int | None] = None

    @classmethod
    def make(cls, given: Mapping[str, object], label: str | None = None) -> Self:
        """Make the codec.

        Args:
            given: options by name; the others have their defaults.
            label: label; None for the name with the options that are not at their defaults.

        Raises:
            UsageError: an option or the label cannot be used.
        """
        values = read_options(cls.name, cls.options, given)
        return cls(
            label=make_label(cls.name, cls.options, values)
            if label is None
            else check_label(label),
            settings=write_settings(values),
            scale=cls.make_scale(values),
            suffix=cls.file_suffix,
            values=tuple(values.items()),
        )

    @classmethod
    @abstractmethod
    def make_scale(cls, values: Options) -> QualityScale:
        """Return the quality scale of the codec with these options."""

    def check_size(self, image: SourceImage, quality: float) -> None:
        """Check the size, for libraries that do not say why they refuse an image.

        Raises:
            CodecError: the codec cannot take an image of this size.
        """
        if self.max_side is not None and max(image.width, image.height) > self.max_side:
            raise CodecError(f"its files have sides of at most {self.max_side} pixels")

    @abstractmethod
    def prepare(self, image: SourceImage, quality: float) -> Callable[[], bytes]:
        """Return the function that encodes the image; what comes before it is not timed."""

    @abstractmethod
    def run_decoder(self, data: bytes) -> object:
        """Decode a file in the calling thread, and return the pixels in the library's own form."""

    def encode(self, image: SourceImage, quality: float) -> Encoded:
        """Encode an image in the calling thread. The same input and versions give the same bytes.

        Args:
            image: the image.
            quality: see `scale`.

        Raises:
            UsageError: the codec has no such quality.
            CodecError: the codec is not available, failed, or cannot take this image.
        """
        self.scale.check(quality, self.label)
        self.version()
        what = f"cannot encode {image.width} x {image.height}"

        def prepare() -> Callable[[], bytes]:
            self.check_size(image, quality)
            return self.prepare(image, quality)

        data, seconds = self._measure(prepare, what)
        if not data:
            raise CodecError(f"{what}: the encoder gave an empty file")
        return Encoded(data, seconds)

    def decode(self, data: bytes) -> Decoded:
        """Run the codec's decoder, to time it. The encoded file itself is scored.

        Raises:
            CodecError: the codec is not available, or failed.
        """
        self.version()
        _, seconds = self._measure(lambda: lambda: self.run_decoder(data), "cannot decode its file")
        return Decoded(None, seconds)

    def _measure(self, prepare: Callable[[], Callable[[], _T]], what: str) -> tuple[_T, float]:
        """Prepare a call, run it, and return what it gave with the thread's CPU time in seconds."""
        try:
            call = prepare()
            start = time.thread_time()
            result = call()
            return result, time.thread_time() - start
        except CodecError as error:
            raise CodecError(f"{what}: {error}") from error
        except Exception as error:  # the libraries raise almost every type
            reason = " ".join(str(error).split()) or type(error).__name__
            raise CodecError(f"{what}: {reason}") from error


def make_missing_error(package: str, library: str) -> CodecError:
    """Make the error of a package that is installed, but built without a library.

    Args:
        package: name of the package, such as `Pillow`.
        library: name of the library, or of the format that it encodes.
    """
    return CodecError(
        f"this {package} is built without {library}; install its wheel: "
        f"pip install --force-reinstall --only-binary :all: {package.lower()}"
    )
