"""Read what an ICC profile says about itself (ICC.1:2022)."""

import re
from collections.abc import Iterator

from roi_ray.imaging.colour.cicp import refuse_hdr

_CLASSES = (b"scnr", b"mntr", b"prtr", b"spac")
_COLOUR_SPACES = {1: b"GRAY", 3: b"RGB ", 4: b"CMYK"}
_PQ, _HLG = 16, 18
_HDR_NAME = re.compile(rb"2100.{0,16}?(PQ|HLG)|_Rel_(PeQ|HLG)", re.DOTALL)
"""Names of BT.2100 profiles, and those that libjxl gives."""


def describes_samples(profile: bytes, channels: int) -> bool:
    """Check whether a profile gives a meaning to grey, RGB or CMYK samples (1, 3 or 4 channels).

    Device links, abstract and named-colour profiles do not.
    """
    return profile[12:16] in _CLASSES and profile[16:20] == _COLOUR_SPACES[channels]


def refuse_hdr_profile(profile: bytes) -> None:
    """Raise `UnsupportedColour` if a profile describes PQ or HLG.

    The `cicp` tag says so (9.2.17). Profiles older than this tag say it in their description; their
    tables show HDR on a screen of some brightness.
    """
    for name, content in _read_tags(profile):
        if name == b"cicp" and content[:4] == b"cicp" and len(content) >= 12:
            refuse_hdr(content[9])  # after the type, 4 reserved bytes and the primaries
        if name == b"desc" and (match := _HDR_NAME.search(content.replace(b"\0", b""))):
            refuse_hdr(_HLG if b"HLG" in match[0] else _PQ)


def has_table(profile: bytes) -> bool:
    """Check whether a profile converts colours by tables (A2B, D2B), not by curves and a matrix."""
    return any(name[:3] in (b"A2B", b"D2B") for name, _ in _read_tags(profile))


def _read_tags(profile: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the signature and content of each tag; truncated tags are cut (7.3)."""
    # Little CMS reads no more than 100 tags either.
    for number in range(min(int.from_bytes(profile[128:132]), 100)):
        entry = profile[132 + 12 * number : 144 + 12 * number]
        start, size = int.from_bytes(entry[4:8]), int.from_bytes(entry[8:12])
        yield entry[:4], profile[start : start + size]
