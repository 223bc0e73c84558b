"""The manifests of a run: an output grows when the same job comes with more rows.

`run.json` has the current manifest in `config.manifest`, and those before it in
`earlier_manifests`, the oldest first. `first_shard` is the number of a manifest's first shard, left
out if it is 0. `shards` are the shards of an earlier manifest that were complete when the next one
came, as ranges [first, last]. Numbers between them stay free. The footer of a shard has the entry
of its manifest. The rows that a manifest adds may lie in other folders than those before, so each
has its own `allow_prefixes`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from roi_ray.pipeline.run_record import Run, identity

Manifest = Mapping[str, Any]
"""Entry of a manifest in the record: `rows`, `sha256`, `first_shard`."""

_EARLIER = "earlier_manifests"
_ALLOWED = "allow_prefixes"


def is_same_manifest(run: Run, other: Run) -> bool:
    """Return whether two runs have the same manifest."""
    one, two = current_manifest(run), current_manifest(other)
    return all(one[name] == two[name] for name in ("rows", "sha256"))


def current_manifest(run: Run) -> Manifest:
    """Return the entry of the run's manifest."""
    manifest: Manifest = run["config"]["manifest"]
    return manifest


def first_shard(run: Run) -> int:
    """Return the number of the first shard of the run's manifest."""
    return _first_shard(current_manifest(run))


def earlier_shards(run: Run) -> list[int]:
    """Return the numbers of the shards of earlier manifests."""
    return [shard for manifest in run.get(_EARLIER, ()) for shard in _expand(manifest["shards"])]


def with_history_of(run: Run, stored: Run) -> Run:
    """Return a run with the history of a stored record, which has the same manifest."""
    return _replace_manifests(run, current_manifest(stored), stored.get(_EARLIER, []))


def with_manifest_of(run: Run, stored: Run) -> Run:
    """Return a run with all that may change if its output grows, as in a stored record."""
    allowed = {name: value for name, value in stored["config"].items() if name == _ALLOWED}
    replaced = with_history_of(run, stored)
    return {**replaced, "config": {**replaced["config"], **allowed}}


def allowed_prefixes(run: Run) -> list[str]:
    """Return the folders that the images of any manifest of the run may be in."""
    entries = [run["config"], *run.get(_EARLIER, ())]
    return list(dict.fromkeys(prefix for each in entries for prefix in each.get(_ALLOWED, ())))


def add_manifest(run: Run, stored: Run, complete: Collection[int]) -> Run:
    """Return a run with a history in which its manifest follows those of a stored record.

    Args:
        run: the run, with its manifest.
        stored: the record so far.
        complete: numbers of the complete shards of the manifests so far.
    """
    allowed = {_ALLOWED: stored["config"].get(_ALLOWED, [])}
    manifests = [*stored.get(_EARLIER, []), {**current_manifest(stored), **allowed}]
    ends = [*map(_first_shard, manifests[1:]), max(complete, default=0) + 1]
    earlier = []
    for manifest, end in zip(manifests, ends, strict=True):
        shards = [shard for shard in complete if _first_shard(manifest) <= shard < end]
        if shards:
            earlier.append({**manifest, "shards": _to_ranges(shards)})
    current = {name: current_manifest(run)[name] for name in ("rows", "sha256")}
    if earlier:
        # Larger than any before, so that two manifests never share the entry in their footers.
        current["first_shard"] = max(ends[-1], first_shard(stored) + 1)
    return _replace_manifests(run, current, earlier)


def find_identities(run: Run) -> Callable[[int], dict[str, Any] | None]:
    """Return a function: number of a shard -> what its footer must have; None for free numbers."""
    first, current = first_shard(run), identity(run)
    earlier = {}
    for manifest in run.get(_EARLIER, ()):
        expected = identity(_make_earlier_run(run, manifest))
        earlier.update(dict.fromkeys(_expand(manifest["shards"]), expected))
    return lambda shard: current if shard >= first else earlier.get(shard)


def _replace_manifests(run: Run, current: Manifest, earlier: list[Any]) -> Run:
    others = {name: value for name, value in run.items() if name != _EARLIER}
    replaced = {**others, "config": {**run["config"], "manifest": dict(current)}}
    return {**replaced, _EARLIER: earlier} if earlier else replaced


def _make_earlier_run(run: Run, entry: Manifest) -> Run:
    """Return the run as it was when an earlier manifest was its current one."""
    manifest = {name: value for name, value in entry.items() if name not in ("shards", _ALLOWED)}
    replaced = _replace_manifests(run, manifest, [])
    if _ALLOWED in replaced["config"]:
        replaced["config"][_ALLOWED] = entry[_ALLOWED]
    return replaced


def _first_shard(manifest: Manifest) -> int:
    return int(manifest.get("first_shard", 0))


def _to_ranges(numbers: Iterable[int]) -> list[list[int]]:
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges


def _expand(ranges: Iterable[tuple[int, int]]) -> Iterable[int]:
    for first, last in ranges:
        yield from range(first, last + 1)
