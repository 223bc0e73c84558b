"""What a sweep needs of a codec: its label, its quality scale, how it encodes and decodes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

from roi_ray.errors import UsageError
from roi_ray.sweep.source import SourceImage


@dataclass(frozen=True)
class QualityScale:
    """The quality scale of a codec.

    Attributes:
        text: what the number is, such as "libjpeg's quality".
        lowest: lowest value that the encoder accepts.
        highest: highest value that the encoder accepts.
        defaults: qualities of a sweep that names none.
        step: smallest difference of two qualities; 1 for whole numbers.
        higher_is_better: whether a higher value is a better image.
        changes_image: whether the value changes the image, so that a target can be searched for;
            that of a lossless codec is its effort.
    """

    text: str
    lowest: float
    highest: float
    defaults: tuple[float, ...]
    step: float = 1
    higher_is_better: bool = True
    changes_image: bool = True

    def check(self, quality: float, label: str) -> None:
        """Check a quality.

        Args:
            quality: the quality.
            label: the codec's label, for the message.

        Raises:
            UsageError: the quality is outside the range, or between two steps.
        """
        on_step = abs(quality / self.step - round(quality / self.step)) < 1e-6
        if not self.lowest <= quality <= self.highest or not on_step:
            steps = "whole numbers" if self.step == 1 else f"multiples of {self.step:g}"
            raise UsageError(
                f"{label} has no quality {quality:g}; choose {steps} from {self.lowest:g} to "
                f"{self.highest:g} ({self.text})"
            )


class Encoded(NamedTuple):
    """An encoded image.

    Attributes:
        data: the encoded file.
        seconds: user and system time of the call or process; the input was in memory, or in a file
            of an external command's working folder.
        memory: peak resident memory of an external command in bytes; None within this process.
        launcher_seconds: user and system time of the process that starts an external command. It is
            neither the codec's nor that of other work.
    """

    data: bytes
    seconds: float
    memory: int | None = None
    launcher_seconds: float = 0.0


class Decoded(NamedTuple):
    """The outcome of decoding.

    Attributes:
        data: the decoded file, which is scored; None if the encoded file itself is scored, which
            roi-ray's own readers decode.
        seconds: user and system time of the codec's decoder; None if it was not run.
        memory: see `Encoded`.
        launcher_seconds: see `Encoded`.
    """

    data: bytes | None
    seconds: float | None
    memory: int | None = None
    launcher_seconds: float = 0.0


@dataclass(frozen=True)
class Codec(ABC):
    """A codec with its options: everything about it but the quality. Can be pickled.

    Its errors do not name it, because those who call it do.

    Attributes:
        label: name in the column `codec` and in file names, such as `avif` or `avif-speed=9`.
            Codecs with different options have different labels.
        settings: all options as text, defaults included: `depth=8 speed=6 subsampling=420`.
        scale: the quality scale.
        suffix: suffix of the encoded files, with the dot.
        decoded_suffix: suffix of the files that `decode` makes; None if encoded files are scored.
        resource: custom resource of the Ray nodes that can run it; None for all nodes.
        cpus: CPUs that one call uses.
    """

    label: str
    settings: str
    scale: QualityScale
    suffix: str
    decoded_suffix: str | None = None
    resource: str | None = None
    cpus: float = 1

    @abstractmethod
    def version(self) -> str:
        """Return the name and version of the encoder on this machine, such as `libavif 1.4.2`.

        Raises:
            CodecError: the encoder is not available here; the message says what to install.
        """

    @abstractmethod
    def encode(self, image: SourceImage, quality: float) -> Encoded:
        """Encode an image. The same input and versions give the same bytes.

        Args:
            image: the image.
            quality: see `scale`.

        Raises:
            CodecError: the encoder failed, or cannot take this image.
        """

    @abstractmethod
    def decode(self, data: bytes) -> Decoded:
        """Decode an encoded file.

        Raises:
            CodecError: the decoder failed.
        """
