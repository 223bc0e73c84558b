"""Read the file that says which keys open a web server. Imports nothing heavy."""

import re

from roi_ray.errors import UsageError

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_ADVICE = "a line is the SHA-256 of a key in 64 hexadecimal digits, and then a name if you like"


def read_key_file(path: str) -> tuple[str, ...]:
    """Read the SHA-256 of each key that opens a web server.

    The file has no keys, so that whoever reads it gets no access. No message repeats a line
    of it, in case somebody wrote a key into it.

    Args:
        path: text file: per line the SHA-256 of a key in hexadecimal, and optionally white space
            and a name. Empty lines, and what comes after `#`, are ignored.

    Returns:
        the hashes in lower case, each once, in the order of the file.

    Raises:
        UsageError: the file cannot be read, has no hash, or has a line that does not begin with
            one; the message has the number of the line.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise UsageError(f"cannot read the keys of {path}: {reason}") from error
    hashes = [
        _read_line(line, f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.partition("#")[0].strip()
    ]
    if not hashes:
        raise UsageError(f"{path} names no key, so it lets nobody in: {_ADVICE}")
    return tuple(dict.fromkeys(hashes))


def check_hash(text: str, where: str) -> str:
    """Return the SHA-256 of a key in lower case.

    Args:
        text: the hash, in hexadecimal.
        where: the place of the text, for the message.

    Raises:
        UsageError: it is not a SHA-256.
    """
    if not _SHA256.fullmatch(text):
        raise UsageError(f"{where}: this is not the SHA-256 of a key; {_ADVICE}")
    return text.lower()


def _read_line(line: str, where: str) -> str:
    return check_hash(line.partition("#")[0].split()[0], where)
