"""Say why an image may be missing: how its name differs from that of a file that exists.

No other file is ever opened in its place, because two files may differ only in that.

A million rows may name missing files, so each costs a few look-ups, and a folder is read once, in
part. Nothing outside the folders that may be opened is looked up.
"""

import os
import re
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from typing import Literal
from urllib.parse import unquote

from roi_ray.errors import StorageError
from roi_ray.io import storage
from roi_ray.io.allowlist import Allowlist
from roi_ray.io.nearby import fold, names_by_look

_BACKSLASH = "write / between folders, not \\"
_SPACE = "remove the white space around it"
_INVISIBLE = " \t\r\n\v\f\u00a0\ufeff\u200b\u200e\u200f"
_QUOTES = "\"'`\u2018\u2019\u201c\u201d"

_CERTAIN_FAULTS: tuple[tuple[Callable[[str], str], str], ...] = (
    (lambda uri: uri.strip(_INVISIBLE), _SPACE),
    (lambda uri: uri.strip(_QUOTES), "remove the quotes around it"),
    (lambda uri: uri.strip(_INVISIBLE), _SPACE),
    (lambda uri: re.sub(r"^file:/(?!/)", "file:///", uri), "write file:/// with three slashes"),
    (lambda uri: uri.replace("\\", "/"), _BACKSLASH),
    (
        lambda uri: os.path.expanduser(uri) if uri.startswith("~/") else uri,
        "write the home folder's path, not ~",
    ),
)
"""Corrections of faults that hardly any real name has, applied one after the other."""

_FORMS: tuple[Literal["NFC"], Literal["NFD"]] = ("NFC", "NFD")

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")

_ENCODING = "%20 and the like stand for characters in file:// URIs, and only there"


def explain_missing_image(written: str, base: str, allowlist: Allowlist | None) -> str:
    """Say what is there, if an image cannot be read because it does not exist.

    Args:
        written: URI as the user wrote it.
        base: URI of the folder that relative URIs are relative to.
        allowlist: folders that may be looked into; None for the folder of the image.

    Returns:
        a part of a sentence that begins with `; `; nothing if the image exists, or if nothing is
        known that resembles it.
    """
    with suppress(StorageError, OSError, ValueError):
        if allowlist is None:
            written = storage.absolute(written)
            allowlist = Allowlist((storage.parent(written),))
        search = _Search(base, allowlist)
        hint = search.explain(written)
        if hint and not storage.exists(storage.resolve(written, base)):
            return f"; {hint}"
    return ""


def explain_not_allowed(absolute: str, allowlist: Allowlist) -> str:
    r"""Say whether another spelling of a URI that may not be opened is below an allowed folder.

    Args:
        absolute: a URI that the allowlist refuses.
        allowlist: folders that may be opened.

    Returns:
        a part of a sentence that begins with `; `, or nothing.

    Examples:
        >>> explain_not_allowed(r"/data\x.png", Allowlist(("/data",)))
        '; write / between folders, not \\'
    """
    if _is_written_below(absolute, allowlist):
        return "; a symbolic link in its path leads out"
    slashes = absolute.replace("\\", "/")
    for other in (slashes, *(unicodedata.normalize(form, slashes) for form in _FORMS)):
        with suppress(StorageError, OSError, ValueError):
            if other != absolute and allowlist.allows(other):
                backslashes = [_BACKSLASH] if slashes != absolute else []
                return f"; {', '.join([*backslashes, *_compare(slashes, other)])}"
    return ""


class _Search:
    """Search for the file that a user may have meant, only in folders that may be opened."""

    def __init__(self, base: str, allowlist: Allowlist) -> None:
        self._base, self._allowlist = base, allowlist

    def explain(self, written: str) -> str:
        """Say what is wrong with a URI, and which file exists; nothing if neither is known."""
        if _WINDOWS.match(written) and not storage.is_remote(self._base):
            return "it is a path of Windows: write the path on this machine"
        uri, faults = written, list[str]()
        for correct, fault in _CERTAIN_FAULTS:
            if (corrected := correct(uri)) != uri:
                uri = corrected
                faults += [fault] if fault not in faults else []
                if self._is_file(uri):
                    return self._describe_match(uri, faults)
        for other, difference in _list_other_spellings(uri, self._base):
            if other != uri and self._is_file(other):
                return self._describe_match(other, [*faults, *difference])
        absolute = storage.resolve(uri, self._base)
        if not storage.is_remote(absolute) and (hint := self._look_around(absolute)):
            return ", ".join([*faults, hint])
        if faults and self._allowlist.allows(absolute):
            return f"nor is there {absolute}"
        return ", ".join(faults)

    def _look_around(self, absolute: str) -> str:
        """Go down the path, and compare its names with those that exist."""
        path = storage.locate(absolute)[1]
        folder = os.path.dirname(path)
        while self._allowlist.allows(folder) and not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        *folders, file = path[len(folder) :].strip("/").split("/")
        folder, missing, differences = self._descend(folder, folders)
        if not self._allowlist.allows(folder):
            return ""
        if missing:
            return f"there is no folder {os.path.join(folder, missing)}"
        if os.path.islink(os.path.join(folder, file)):
            return "it is a symbolic link to a file that does not exist"
        if similar := _find_same_look(folder, file):
            match = os.path.join(folder, similar[0])
            return self._describe_match(match, [*differences, *_compare(file, similar[0])])
        if same_stem := _find_same_stem(folder, file):
            return f"its folder has {', '.join(same_stem)}"
        return f"there is no such file in {folder} either" if differences else ""

    def _descend(self, folder: str, names: list[str]) -> tuple[str, str | None, list[str]]:
        """Follow the folders that look like the names.

        Returns:
            the last one that exists, the first name that none looks like, and how the others differ
            from the folders' own.
        """
        differences: list[str] = []
        for name in names:
            # A folder that looks alike may be a symbolic link to one that may not be opened.
            similar = _find_same_look(folder, name) if self._allowlist.allows(folder) else []
            if not similar:
                return folder, name, differences
            folder = os.path.join(folder, similar[0])
            differences += _compare(name, similar[0])
        return folder, None, differences

    def _describe_match(self, uri: str, faults: list[str]) -> str:
        return f"{storage.resolve(uri, self._base)} exists: {', '.join(dict.fromkeys(faults))}"

    def _is_file(self, written: str) -> bool:
        uri = storage.resolve(written, self._base)
        return self._allowlist.allows(uri) and storage.is_file(uri)


def _is_written_below(uri: str, allowlist: Allowlist) -> bool:
    """Return whether a local URI's text is below an allowed folder, wherever its links lead."""
    if storage.is_remote(uri):  # it has no links, and must not be looked up
        return False
    with suppress(StorageError):
        path = storage.local_path(uri)
        folders = (p for p in allowlist.prefixes if not storage.is_remote(p))
        return any(path.startswith(storage.local_path(f).rstrip("/") + "/") for f in folders)
    return False


def _list_other_spellings(uri: str, base: str) -> list[tuple[str, list[str]]]:
    """List ways to write a URI that real names may have too, each with its advice."""
    is_file_uri = uri.startswith("file://")
    folder = f"{base.rstrip('/').rpartition('/')[2]}/"
    return [
        (uri.removeprefix("file://") if is_file_uri else unquote(uri), [_ENCODING]),
        (uri.removeprefix(folder), [f"URIs are relative to {base}"]),
        *((form := unicodedata.normalize(name, uri), _compare(uri, form)) for name in _FORMS),
    ]


def _find_same_look(folder: str, name: str) -> list[str]:
    """Find names in a folder that look like a name, the most alike first, or are the same."""
    look = fold(name)
    alike = [other for other in names_by_look(folder).get(look, ()) if fold(other) == look]
    # The same name comes first, then those that differ in their normal form alone.
    alike = sorted(
        {name, *alike}, key=lambda other: (other != name, _nfc(other) != _nfc(name), other)
    )
    return [other for other in alike if os.path.exists(os.path.join(folder, other))]


def _find_same_stem(folder: str, name: str) -> list[str]:
    names = names_by_look(folder).get(fold(os.path.splitext(name)[0]), [])
    return [other for other in names if os.path.isfile(os.path.join(folder, other))][:3]


def _compare(written: str, name: str) -> list[str]:
    """Say how two names differ that look alike; an empty list if they are the same."""
    if written == name:
        return []
    if _nfc(written) == _nfc(name):
        form = next((form for form in _FORMS if unicodedata.is_normalized(form, name)), "mixed")
        return [f"its name is in another normal form of Unicode, {form}"]
    if _nfc(written).casefold() == _nfc(name).casefold():
        return ["upper and lower case differ"]
    return [_SPACE]


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
