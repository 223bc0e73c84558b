import pytest

from roi_ray.errors import OutputError
from roi_ray.pipeline.run_record import read_run
from roi_ray.verification.draw import draw_pairs
from tests.pipeline.outputs import write_manifest, write_output


@pytest.fixture
def output(tmp_path):
    """Ten pairs in five shards; one shard is missing, and three pairs have an error."""
    manifest = write_manifest(tmp_path / "sweep")
    failed = ["y/0.jpg", "y/3.jpg", "y/9.jpg"]
    return write_output(str(tmp_path / "scores"), manifest, [0, 1, 3, 4], failed)


def draw(output, pairs, seed=0):
    found = draw_pairs(output, read_run(output), pairs, seed)
    return found, sorted(row["distorted"] for row in found.rows)


def test_all_scored_pairs_are_drawn_if_more_are_asked_for(output) -> None:
    found, names = draw(output, 20)
    assert names == ["y/1.jpg", "y/2.jpg", "y/6.jpg", "y/7.jpg", "y/8.jpg"]
    assert (found.scored, found.foreign) == (5, ())


def test_pairs_are_drawn_by_seed_with_equal_frequency_and_none_twice(output) -> None:
    assert draw(output, 3, seed=4) == draw(output, 3, seed=4)
    counts: dict[str, int] = {}
    for seed in range(300):
        _, names = draw(output, 2, seed)
        assert len(set(names)) == 2
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    assert len(counts) == 5
    assert all(80 < count < 160 for count in counts.values())


def test_torn_files_are_listed_and_not_drawn_from(output, tmp_path) -> None:
    (tmp_path / "scores" / "shard-000003.parquet").write_bytes(b"PAR1")
    found, names = draw(output, 20)
    assert names == ["y/1.jpg", "y/2.jpg", "y/8.jpg"]
    assert [uri.rpartition("/")[2] for uri in found.foreign] == ["shard-000003.parquet"]


def test_output_without_scores_is_refused(tmp_path) -> None:
    manifest = write_manifest(tmp_path / "sweep", rows=2)
    output = write_output(str(tmp_path / "scores"), manifest, [0], ["y/0.jpg", "y/1.jpg"])
    with pytest.raises(OutputError, match="has no pair with scores"):
        draw(output, 1)
