"""A small kind of job, which counts letters: it shows which rows a job has computed."""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from roi_ray import schema
from roi_ray.errors import AccessError
from roi_ray.io.manifest import Manifest, read_manifest
from roi_ray.pipeline.completion import Completion, complete_output
from roi_ray.pipeline.kind import ROW, SHARD, JobKind, make_results_schema
from roi_ray.pipeline.output import Output
from roi_ray.pipeline.plan import PAIR_IDS, ROWS
from roi_ray.pipeline.run_record import describe_run
from roi_ray.schema import Meaning

COLUMNS = pa.schema({"letters": pa.int64(), "error_kind": pa.string(), "error": pa.string()})
KIND = JobKind(
    command="count",
    content="counts",
    version_name="counting_version",
    version=1,
    columns=COLUMNS,
    meanings={name: Meaning("", None, name) for name in COLUMNS.names},
    results=make_results_schema(COLUMNS),
    fatal_errors=(AccessError,),
    item_lists=("distorted", "codec"),
    lost="killed",
)


@dataclass
class CountingEngine:
    """Counts the letters of `distorted` and `codec`.

    Attributes:
        kill_after: number of rows after which it kills its process; None for never.
        computed: `pair_id` of each row that it has computed.
    """

    kill_after: int | None = None
    computed: list[str] = field(default_factory=list)

    def run(self, items: pa.Table, *, isolate: bool = False) -> Iterator[pa.Table]:
        for item in items.to_pylist():
            lists = (item[name] for name in (ROWS, PAIR_IDS, "distorted", "codec"))
            for row, pair_id, distorted, codec in zip(*lists, strict=True):
                result = {SHARD: item[SHARD], ROW: row, "letters": len(distorted + codec)}
                if "bad" in distorted:
                    result |= {"letters": None, "error_kind": "ImageReadError", "error": "bad"}
                yield pa.Table.from_pylist([result], KIND.results)
                self.computed.append(pair_id)
                if len(self.computed) == self.kill_after:
                    os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Counted:
    """What a job did: its outcome, the rows that it computed, and whether it made an engine."""

    completion: Completion
    computed: list[str]
    has_engine: bool


def count(
    manifest: str | Manifest,
    output: str,
    *,
    shard_size: int = 3,
    engine: CountingEngine | None = None,
    part_rows: int = 1000,
) -> Counted:
    """Count the letters of a manifest's rows into an output."""
    if isinstance(manifest, str):
        manifest = read_manifest(manifest, part_rows=part_rows)
    config = {
        "manifest": {"rows": manifest.rows, "sha256": manifest.sha256},
        "shard_size": shard_size,
    }
    location = {"given": manifest.uri, "uri": manifest.uri, "base": manifest.base}
    engine = engine or CountingEngine()
    engines = []

    def start_engine() -> CountingEngine:
        engines.append(engine)
        return engine

    run = describe_run(KIND, config, location)
    completion = complete_output(manifest, Output(output, run, KIND), start_engine, shard_size)
    return Counted(completion, engine.computed, bool(engines))


def make_rows(references: int, codecs: tuple[str, ...] = ("jpeg", "webp")) -> list[dict]:
    """Make the rows of a manifest: each reference with an image per codec."""
    return [
        {
            "pair_id": f"{reference} {codec}",
            schema.REFERENCE: f"{reference}.png",
            schema.DISTORTED: f"{reference}.{codec}",
            "codec": codec,
            "bpp": reference / 7,
        }
        for reference in range(references)
        for codec in codecs
    ]


if __name__ == "__main__":
    count(sys.argv[1], sys.argv[2], engine=CountingEngine(kill_after=int(sys.argv[3])))
