"""A codec at work on one image: encode, decode, check and measure, at a quality or at a target."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean, median
from typing import NamedTuple, TypeVar

from roi_ray import schema
from roi_ray.errors import CodecError, ImageError, OutOfMemory, UsageError
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import Pixels, check_size
from roi_ray.runtime import telemetry
from roi_ray.settings import MAX_PIXELS
from roi_ray.sweep.codec import Codec, Decoded, Encoded
from roi_ray.sweep.match import Match, match_target
from roi_ray.sweep.measure import LoadMeter, find_processor
from roi_ray.sweep.source import SourceImage
from roi_ray.sweep.target import PSNR, measure

_Call = TypeVar("_Call", Encoded, Decoded)


@dataclass(frozen=True)
class EncodeOptions:
    """Options of the encode stage.

    Attributes:
        repeat: how often a cell is encoded and decoded; the medians of the times are reported, and
            the first file is kept.
        tolerance: largest distance from a target, see `match_target`; None for the metric's own.
        max_pixels: largest number of pixels of an image that is decoded.
    """

    repeat: int = 1
    tolerance: float | None = None
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if self.repeat < 1:
            raise UsageError(f"repeat is {self.repeat}; give 1 or more")
        if self.tolerance is not None and not self.tolerance > 0:
            raise UsageError(f"the tolerance is {self.tolerance:g}; give a number above 0")


class EncodedCell(NamedTuple):
    """The files and numbers of a cell.

    Attributes:
        bitstream: the encoded file.
        decoded: the file that the codec's own decoder made; None if the encoded file is scored.
        numbers: the columns of `schema.SWEEP_RESULTS`, without those of errors.
    """

    bitstream: bytes
    decoded: bytes | None
    numbers: dict[str, object]


class _Timed(NamedTuple):
    """The outcome of a call of the codec, and the other load of the machine meanwhile, in cores."""

    outcome: Encoded
    other_load: float | None


class CodecRun:
    """A codec at work on one image.

    Args:
        codec: the codec.
        image: the original.
        options: options of the encode stage.
        meter: meter of this thread.
        keep_files: whether files are kept for further targets, so that each quality is encoded only
            once; without searches this would only take memory.
        check_running: raises an exception if the job has been stopped; called before each encode.
    """

    def __init__(
        self,
        codec: Codec,
        image: SourceImage,
        options: EncodeOptions,
        meter: LoadMeter,
        *,
        keep_files: bool,
        check_running: Callable[[], None] = lambda: None,
    ) -> None:
        self._codec, self._image, self._options, self._meter = codec, image, options, meter
        self._keep_files, self._check_running = keep_files, check_running
        self._encoded: dict[float, _Timed] = {}
        self._values: dict[tuple[str, float], float] = {}

    def encode(self, target_metric: str, target: float) -> EncodedCell:
        """Encode the image at a quality, or at the quality that meets a target.

        Args:
            target_metric: `quality`, or a name from `TARGET_METRICS`.
            target: its value.

        Raises:
            CodecError: the codec failed.
            TargetMissed: no quality meets the target.
            ImageReadError, SizeMismatch, ...: what the codec made cannot be scored.
        """
        if target_metric == schema.QUALITY:
            match = Match(target, target)
        else:
            match = match_target(
                self._codec.scale,
                target_metric,
                target,
                lambda quality: self._evaluate(target_metric, quality),
                self._options.tolerance,
            )
        return self._measure(match)

    def _evaluate(self, metric: str, quality: float) -> float:
        """Return what the image has of a metric at a quality."""
        if (metric, quality) not in self._values:
            try:
                self._values[metric, quality] = self._compute(metric, quality)
            except ImageError as error:
                raise type(error)(f"at quality {quality:g}: {error}") from error
        return self._values[metric, quality]

    def _compute(self, metric: str, quality: float) -> float:
        data = self._encode(quality).outcome.data
        if metric == schema.BPP:
            return self._bpp(data)
        file = data if self._codec.decoded_suffix is None else self._decode(data)[0].data
        value = measure(metric, self._image.pixels, self._read(file or b""))
        if metric != PSNR and threading.current_thread() is threading.main_thread():
            self._meter.forget()  # the threads of torch would count as other work
        return value

    def _measure(self, match: Match) -> EncodedCell:
        """Encode and decode at a quality as often as the options say, and check the result."""
        encodes = [self._encode(match.quality)]
        data = encodes[0].outcome.data
        decodes = [self._decode(data)]
        for _ in range(self._options.repeat - 1):
            encodes.append(self._call_encoder(match.quality))
            decodes.append(self._decode(data))
        decoded = decodes[0][0].data
        self._read(data if decoded is None else decoded)
        loads = [load for _, load in (*encodes, *decodes) if load is not None]
        decode_seconds = [call.seconds for call, _ in decodes if call.seconds is not None]
        numbers: dict[str, object] = {
            schema.QUALITY: match.quality,
            schema.REACHED: match.value,
            schema.BYTES: len(data),
            schema.BPP: self._bpp(data),
            schema.ENCODE_SECONDS: median(call.seconds for call, _ in encodes),
            schema.DECODE_SECONDS: median(decode_seconds) if decode_seconds else None,
            schema.ENCODE_MEMORY: _largest(call.memory for call, _ in encodes),
            schema.DECODE_MEMORY: _largest(call.memory for call, _ in decodes),
            schema.OTHER_LOAD: round(fmean(loads), 2) if loads else None,
            schema.PROCESSOR: find_processor(),
        }
        return EncodedCell(data, decoded, numbers)

    def _encode(self, quality: float) -> _Timed:
        """Encode at a quality, unless that has been done."""
        if quality in self._encoded:
            return self._encoded[quality]
        encoded = self._call_encoder(quality)
        if self._keep_files:
            self._encoded[quality] = encoded
        return encoded

    def _call_encoder(self, quality: float) -> _Timed:
        self._check_running()
        with telemetry.time_stage("encode"), self._codec_errors():
            timed = _Timed(*self._time(lambda: self._codec.encode(self._image, quality)))
        if not timed.outcome.data:
            raise CodecError("the encoder made an empty file")
        return timed

    def _decode(self, data: bytes) -> tuple[Decoded, float | None]:
        self._check_running()
        with telemetry.time_stage("decode"), self._codec_errors():
            decoded, load = self._time(lambda: self._codec.decode(data))
        has_own_decoder = self._codec.decoded_suffix is not None
        if has_own_decoder and not decoded.data:
            raise CodecError("the decoder made no file, or an empty one")
        if not has_own_decoder and decoded.data is not None:
            raise CodecError("the decoder made a file, but the codec has no suffix for it")
        # A decoder that was not called has no load.
        return decoded, None if decoded.seconds is None else load

    def _read(self, data: bytes) -> Pixels:
        """Read a file as scoring will, so that scoring meets no surprise."""
        who = "decoder" if self._codec.decoded_suffix is not None else "encoder"
        try:
            pixels = decode_image(data, self._options.max_pixels)
            check_size(pixels, self._image.pixels)
        except ImageError as error:
            raise type(error)(f"the {who}'s file cannot be scored: {error}") from error
        return pixels

    def _time(self, call: Callable[[], _Call]) -> tuple[_Call, float | None]:
        """Call the codec; return the outcome, and the other load meanwhile."""
        began, own = self._meter.start(), time.thread_time()
        outcome = call()
        own = time.thread_time() - own
        seconds = outcome.seconds or 0.0
        # An external command's time is not this thread's; nor is that of a library's threads.
        is_external = outcome.memory is not None
        elsewhere = seconds + outcome.launcher_seconds if is_external else max(0.0, seconds - own)
        self._meter.add_own_seconds(elsewhere)
        return outcome, self._meter.stop(began)

    def _bpp(self, data: bytes) -> float:
        return 8 * len(data) / (self._image.width * self._image.height)

    @contextmanager
    def _codec_errors(self) -> Iterator[None]:
        """Turn whatever a codec raises into an error about this image."""
        try:
            yield
        except Exception as error:
            self._meter.forget()  # what the failed call has taken is not known
            if isinstance(error, ImageError):
                raise
            if isinstance(error, MemoryError):
                raise OutOfMemory("the codec has too little memory") from error
            raise CodecError(f"{type(error).__name__}: {error}") from error


def _largest(values: Iterator[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
