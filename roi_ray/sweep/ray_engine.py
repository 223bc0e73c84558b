"""The Ray engine of a sweep: cells are tasks of Ray Data, on nodes that have their codecs."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import reduce
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa

from roi_ray.errors import ClusterError, StorageError
from roi_ray.io import storage
from roi_ray.io.allowlist import Allowlist
from roi_ray.pipeline.plan import split_into_blocks
from roi_ray.pipeline.ray_context import RETRIES, iterate, streaming_context
from roi_ray.runtime.cluster import connect
from roi_ray.runtime.logs import LOGGER
from roi_ray.schema import Failure
from roi_ray.sweep.codec import Codec
from roi_ray.sweep.codec_run import EncodeOptions
from roi_ray.sweep.encode_stage import encode_cells, fail_cells
from roi_ray.sweep.engines import EncodeJob
from roi_ray.sweep.pieces import Place, find_places, split_by_codec

if TYPE_CHECKING:
    from ray.data import Dataset

_OBJECT_STORE = 256 << 20
"""Bytes of the object store of a local Ray: work items and results are small."""

_SHARE = 0.001
"""Share of a resource label that a task asks for: the label says where codecs can run, and the CPUs
how many at a time."""


class RayEncodeEngine:
    """Engine that encodes on Ray Data; connects to Ray on first use.

    Work that asks for different resources is mapped separately: each runs where it can.

    Args:
        job: what to run.
        connection: keeps the connection to Ray.
    """

    def __init__(self, job: EncodeJob, connection: ExitStack) -> None:
        self._job = job
        self._connection = connection
        self._can_grow: bool | None = None
        self._announced: set[str] = set()

    def run(self, items: pa.Table, *, isolate: bool = False) -> Iterator[pa.Table]:
        """Encode the cells of work items; see `Engine.run`.

        Args:
            items: see `encode_cells`.
            isolate: whether each task encodes one cell, so that one that kills its process fails no
                others.

        Yields:
            tables of `SWEEP_RESULT_ROWS`, in any order. Rows whose process died are missing.

        Raises:
            ClusterError: Ray cannot be reached or started, or a codec needs a resource that a local
                Ray does not have.
        """
        if self._can_grow is None:
            self._can_grow = not self._connection.enter_context(connect(object_store=_OBJECT_STORE))
        if not storage.is_remote(self._job.output):
            os.makedirs(storage.local_path(self._job.output), exist_ok=True)
        groups = self._group(split_by_codec(items), isolate=isolate)
        self._check_resources(groups)
        yield from chain.from_iterable(map(iterate, self._build_datasets(groups)))

    def _build_datasets(self, groups: dict[Place, list[pa.Table]]) -> list["Dataset"]:
        """Build a data set for each group, or for several that run side by side.

        Ray Data counts work that waits for a node as if it used CPUs, and would start less of the
        other work. So what waits for a node comes last.
        """
        now = [place for place in groups if count_cpus(place.resource) > 0]
        later = [place for place in groups if place not in now]
        with streaming_context():
            datasets = {place: self._build_dataset(groups[place], place) for place in groups}
            if self._job.workers is not None:  # one group after the other keeps to their number
                return [datasets[place] for place in (*now, *later)]
            return [
                reduce(lambda first, other: first.union(other), [datasets[p] for p in places])
                for places in (now, later)
                if places
            ]

    def _group(self, pieces: pa.Table, *, isolate: bool) -> dict[Place, list[pa.Table]]:
        """Return the blocks of work for each place."""
        numbers: dict[Place, list[int]] = {}
        for number, place in enumerate(find_places(pieces, self._job.codecs)):
            numbers.setdefault(place, []).append(number)
        return {
            place: list(split_into_blocks(pieces.take(chosen), isolate=isolate))
            for place, chosen in numbers.items()
        }

    def _check_resources(self, places: Mapping[Place, object]) -> None:
        """Check that some node has each resource, or may come to have it.

        Raises:
            ClusterError: this is a local Ray, which gets no further nodes.
        """
        for label in {place.resource for place in places if place.resource is not None}:
            if count_cpus(label) or label in self._announced:
                continue
            self._announced.add(label)
            names = [name for name, codec in self._job.codecs.items() if codec.resource == label]
            advice = f"ray start --address=HEAD:6379 --resources '{{\"{label}\": 1}}'"
            if not self._can_grow:
                raise ClusterError(
                    f"no node has the resource {label!r} that {', '.join(names)} ask for, and a "
                    f"local Ray gets no further nodes: set RAY_ADDRESS to a cluster and start a "
                    f"node with it ({advice}), remove the resource from the plan, or use "
                    "--engine local"
                )
            LOGGER.warning(
                "no node has the resource %r yet: the cells of %s come last, after one joins (%s)",
                label,
                ", ".join(names),
                advice,
            )

    def _build_dataset(self, blocks: list[pa.Table], place: Place) -> "Dataset":
        import ray.data
        from ray.data import TaskPoolStrategy

        # A task that asks for more CPUs than the largest node has would wait for ever.
        cpus = min(place.cpus, max(list_cpus(place.resource), default=place.cpus))
        limits = [len(blocks)]
        if self._job.workers is not None:
            limits.append(int(self._job.workers / cpus))
        if place.resource is not None:
            limits.append(int(count_cpus(place.resource) / cpus))
        tasks = None if len(limits) == 1 else max(1, min(limits))
        resources = {} if place.resource is None else {"resources": {place.resource: _SHARE}}
        return ray.data.from_blocks(blocks).map_batches(
            encode_on_node,
            batch_size=None,
            batch_format="pyarrow",
            fn_kwargs=self._job.arguments(),
            compute=TaskPoolStrategy(tasks),
            num_cpus=cpus,
            max_retries=RETRIES,
            **resources,
        )


def encode_on_node(
    items: pa.Table,
    base: str,
    allowlist: Allowlist,
    codecs: Mapping[str, Codec],
    output: str,
    options: EncodeOptions,
) -> Iterator[pa.Table]:
    """Encode the cells of work items, if this node sees the output; see `encode_cells`.

    A local folder may be on the driver's disk alone: files that were written to a folder of the
    same name on another machine would never be found.
    """
    if storage.is_remote(output) or storage.is_folder(output):
        yield from encode_cells(items, base, allowlist, codecs, output, options)
        return
    text = (
        f"{output} does not exist on the node {socket.gethostname()}: on several machines, give an "
        "--output that all of them see, such as s3://BUCKET/FOLDER"
    )
    yield fail_cells(items, Failure.from_exception(StorageError(text)))


def list_cpus(resource: str | None) -> list[float]:
    """Return the CPUs of each node that has CPUs and a resource; None for all nodes."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [
        node["CPU"] for node in nodes if node.get("CPU") and (resource is None or resource in node)
    ]


def count_cpus(resource: str | None) -> float:
    """Return the CPUs of all nodes that have a resource; None for all nodes."""
    return sum(list_cpus(resource))
