"""Read a form as its bytes arrive: files and texts by field, hashed on the way, never on disk."""

import asyncio
import hashlib
import io
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from roi_ray.service.backend import ImageFile
from roi_ray.web.error_answers import RequestFailed, request_failed
from roi_ray.web.names import clean_name

if TYPE_CHECKING:  # it exists for type checkers alone
    from python_multipart.multipart import MultipartCallbacks

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"

MAX_TEXT = 4096
"""Bytes of a field that is a text."""
_MAX_URLENCODED = 1 << 20
_MAX_HEADERS, _MAX_HEADER_BYTES = 8, 4096
"""Headers of a part, and bytes of each."""
_PIECE = 1 << 16
"""Bytes that are parsed and hashed before other requests get their turn."""

Form = dict[str, list[ImageFile | str]]
"""The values of each field that was sent, in their order: a file, or a text."""


async def read_form(
    content_type: str, body: AsyncIterator[bytes], max_counts: Mapping[str, int]
) -> Form:
    """Read the form in the body of a request.

    An empty text, and an empty file without a name, count as not given: browsers send them for
    fields that were left empty.

    Args:
        content_type: value of the header `Content-Type`.
        body: pieces of the body.
        max_counts: how often each field may be given. Others may not be given.

    Raises:
        RequestFailed: it is not a form, or ends too early (400); or a field is unknown, too long,
            or given too often (422).
    """
    kind, options = parse_options_header(content_type)
    if kind == MULTIPART.encode():
        return await _read_multipart(options.get(b"boundary", b""), body, max_counts)
    if kind == URLENCODED.encode():
        return await _read_urlencoded(body, max_counts)
    sent = repr(clean_name(content_type)) if content_type else "nothing"
    raise request_failed(
        "InvalidRequest",
        f"the body must be {MULTIPART} or {URLENCODED}, but its Content-Type says {sent}",
        status=400,
    )


async def read_file(name: str, body: AsyncIterator[bytes]) -> ImageFile:
    """Read a body that is one file."""
    part = _Part(name, is_file=True)
    async for piece in _cut(body):
        part.write(piece)
    return part.to_file()


async def _read_multipart(
    boundary: bytes, body: AsyncIterator[bytes], max_counts: Mapping[str, int]
) -> Form:
    if not boundary:
        raise _malformed("its Content-Type names no boundary")
    reader = _MultipartReader(max_counts)
    try:
        parser = MultipartParser(
            boundary,
            reader.callbacks(),
            max_header_count=_MAX_HEADERS,
            max_header_size=_MAX_HEADER_BYTES,
        )
        async for piece in _cut(body):
            parser.write(piece)
    except FormParserError as error:
        raise _malformed(str(error)) from error
    if not reader.has_ended:
        raise _malformed("it ends before the last boundary")
    return reader.form


async def _read_urlencoded(body: AsyncIterator[bytes], max_counts: Mapping[str, int]) -> Form:
    data = bytearray()
    async for piece in _cut(body):
        data += piece
        if len(data) > _MAX_URLENCODED:
            raise request_failed(
                "InvalidRequest",
                f"a form of type {URLENCODED} has more than {_MAX_URLENCODED:,} bytes; send files "
                f"as {MULTIPART}",
            )
    fields = _Fields(max_counts)
    most = sum(max_counts.values()) + 1
    try:
        pairs = parse_qsl(
            data.decode(), keep_blank_values=True, strict_parsing=bool(data), max_num_fields=most
        )
    except UnicodeDecodeError as error:
        raise _malformed("it is not UTF-8") from error
    except ValueError as error:
        raise _malformed(str(error)) from error
    for name, value in pairs:
        fields.admit(name)
        if len(value) > MAX_TEXT:
            raise _too_long(name)
        if not value:
            continue
        fields.form.setdefault(name, []).append(value)
    return fields.form


async def _cut(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cut the pieces of a body into smaller ones, between which others get their turn."""
    async for chunk in body:
        for start in range(0, len(chunk), _PIECE):
            if start:
                await asyncio.sleep(0)
            yield chunk[start : start + _PIECE]


def _malformed(reason: str) -> RequestFailed:
    return request_failed(
        "InvalidRequest", f"the body is not a form that can be read: {reason}", status=400
    )


def _too_long(field: str) -> RequestFailed:
    return request_failed(
        "InvalidRequest",
        f"field {field}: a text has at most {MAX_TEXT:,} bytes; a file needs a file name in its "
        "part (curl: -F 'image=@x.png')",
    )


class _Fields:
    """The fields of a form that have arrived."""

    def __init__(self, max_counts: Mapping[str, int]) -> None:
        self.form: Form = {}
        self._max_counts, self._counts = max_counts, Counter[str]()

    def admit(self, name: str) -> None:
        """Count one more value of a field, before it is read."""
        if name not in self._max_counts:
            raise request_failed(
                "InvalidRequest",
                f"there is no field {clean_name(name)!r}; send {', '.join(self._max_counts)}",
            )
        self._counts[name] += 1
        if self._counts[name] > self._max_counts[name]:
            most = self._max_counts[name]
            raise request_failed(
                "InvalidRequest",
                f"field {name} is given more than {'once' if most == 1 else f'{most} times'}",
            )


class _Part:
    """One part of a multipart form: a file or a text."""

    def __init__(self, name: str, *, is_file: bool) -> None:
        self.name, self.is_file, self.size = name, is_file, 0
        # Its buffer becomes the value: nothing is copied, as a copy of many megabytes takes long.
        self._content, self._hash = io.BytesIO(), hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.size += len(data)
        self._content.write(data)
        if self.is_file:
            self._hash.update(data)

    def to_file(self) -> ImageFile:
        return ImageFile(self.name, self._content.getvalue(), self._hash.hexdigest())

    def to_text(self) -> str:
        return self._content.getvalue().decode(errors="replace")


class _MultipartReader(_Fields):
    """Collects what the parser of a multipart form finds."""

    def __init__(self, max_counts: Mapping[str, int]) -> None:
        super().__init__(max_counts)
        self.has_ended = False
        self._field, self._part, self._is_named = "", _Part("", is_file=False), False
        self._header, self._value, self._disposition = b"", b"", b""

    def callbacks(self) -> "MultipartCallbacks":
        """Return what the parser calls, by its names; the parser bounds the size of headers."""
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": self._read_header,
            "on_header_value": self._read_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._open_part,
            "on_part_data": self._read_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._disposition = b""

    def _read_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _read_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _open_part(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise FormParserError("a part has no Content-Disposition with a name")
        self._field = options[b"name"].decode(errors="replace")
        self.admit(self._field)
        name = options.get(b"filename", b"").decode(errors="replace")
        # `filename*` is not for forms, but some clients send it.
        is_file = b"filename" in options or b"filename*" in self._disposition.lower()
        self._is_named = bool(name)
        self._part = _Part(clean_name(name) or self._field, is_file=is_file)

    def _read_data(self, data: bytes, start: int, end: int) -> None:
        self._part.write(data[start:end])
        if not self._part.is_file and self._part.size > MAX_TEXT:
            raise _too_long(self._field)

    def _end_part(self) -> None:
        part = self._part
        if not part.size and not self._is_named:
            return
        value = part.to_file() if part.is_file else part.to_text()
        self.form.setdefault(self._field, []).append(value)

    def _end(self) -> None:
        self.has_ended = True
