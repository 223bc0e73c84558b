from itertools import chain

import numpy as np
import pyarrow as pa
import pytest

from roi_ray.pipeline.plan import make_work_items, plan_parts, split_into_blocks, split_into_shards


def manifest(references, masks=None):
    count = range(len(references))
    columns = {"pair_id": [f"p{i}" for i in count], "reference": references}
    columns["distorted"] = [f"d{i}" for i in count]
    if masks is not None:
        columns["mask"] = masks
    return pa.table(columns)


@pytest.mark.parametrize("shard_size", [1, 3, 7, 50, 10_000])
@pytest.mark.parametrize("seed", range(3))
def test_each_row_is_in_one_shard_and_references_stay_together(shard_size, seed) -> None:
    rng = np.random.default_rng(seed)
    table = manifest([f"r{i}" for i in rng.integers(0, 40, 300)])
    shards = split_into_shards(table, shard_size)
    rows = np.concatenate(shards)
    assert sorted(rows.tolist()) == list(range(300))
    assert all(0 < len(shard) <= shard_size for shard in shards)

    references = np.array(table["reference"].to_pylist())
    runs = 1 + np.count_nonzero(references[rows][1:] != references[rows][:-1])
    assert runs == len(set(references))
    for reference in set(references):
        rows_of_reference = rows[references[rows] == reference]
        assert rows_of_reference.tolist() == sorted(rows_of_reference.tolist())
        spread = [k for k, shard in enumerate(shards) if np.isin(rows_of_reference, shard).any()]
        assert len(spread) == 1 or len(rows_of_reference) > shard_size


def test_references_are_ordered_by_their_first_rows() -> None:
    (shard,) = split_into_shards(manifest(["b", "a", "b", "c", "a"]), 100)
    assert shard.tolist() == [0, 2, 1, 4, 3]


def test_large_reference_is_split_and_small_ones_share_a_shard() -> None:
    sizes = [
        len(s)
        for s in split_into_shards(manifest(["a"] * 2 + ["b"] * 25 + ["c"] * 3 + ["d"] * 8), 10)
    ]
    assert sizes == [2, 10, 10, 8, 8]


def test_carried_columns_do_not_change_the_plan() -> None:
    table = manifest(["a", "b", "a", "b"])
    wider = table.append_column("codec", pa.array(list("wxyz")))
    assert [s.tolist() for s in split_into_shards(table, 2)] == [
        s.tolist() for s in split_into_shards(wider, 2)
    ]


def test_shard_numbers_continue_from_part_to_part() -> None:
    parts = [manifest(["a", "b", "a"]), manifest(["c"] * 3)]
    (first, ours), (second, others) = plan_parts(parts, 2)
    assert (first, second) == tuple(parts)
    assert {shard: rows.tolist() for shard, rows in ours.items()} == {0: [0, 2], 1: [1]}
    assert {shard: rows.tolist() for shard, rows in others.items()} == {2: [0, 1], 3: [2]}


def test_reference_with_two_masks_gives_one_work_item_per_mask() -> None:
    table = manifest(["a", "a", "a", "b"], ["m", None, "m", "m"])
    items = make_work_items(table, dict(enumerate(split_into_shards(table, 10)))).to_pylist()
    assert [(i["reference"], i["mask"], i["rows"]) for i in items] == [
        ("a", "m", [0, 2]),
        ("a", None, [1]),
        ("b", "m", [3]),
    ]


def test_work_item_is_one_reference_of_one_shard() -> None:
    table = manifest(["a", "b", "a", "a", "b"])
    shards = dict(enumerate(split_into_shards(table, 2)))
    items = make_work_items(table, shards).to_pylist()
    assert items == [
        {
            "shard": shard,
            "reference": reference,
            "mask": None,
            "rows": rows,
            "pair_ids": [f"p{row}" for row in rows],
            "distorted": [f"d{row}" for row in rows],
        }
        for shard, reference, rows in ((0, "a", [0, 2]), (1, "a", [3]), (2, "b", [1, 4]))
    ]
    partial = make_work_items(table, {2: shards[2][1:]}).to_pylist()
    assert [(i["shard"], i["rows"]) for i in partial] == [(2, [4])]


def test_isolated_work_items_have_one_pair_and_one_block_each() -> None:
    table = manifest(["a"] * 4 + ["b"])
    items = make_work_items(table, dict(enumerate(split_into_shards(table, 10))), isolate=True)
    assert [item["rows"] for item in items.to_pylist()] == [[0], [1], [2], [3], [4]]
    assert [len(block) for block in split_into_blocks(items, isolate=True)] == [1] * 5


def test_blocks_contain_all_work_items_in_order() -> None:
    table = manifest([f"r{i // 7}" for i in range(500)])
    items = make_work_items(table, dict(enumerate(split_into_shards(table, 64))))
    parts = list(split_into_blocks(items))
    assert len(parts) > 5
    assert pa.concat_tables(parts).equals(items)


@pytest.mark.parametrize("actors", [1, 2, 3, 64, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_blocks_have_each_row_once_with_its_own_images(actors, seed) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, rng.choice([2, 30, 400]), rng.integers(1, 60))
    table = manifest([f"r{i}" for i, size in enumerate(sizes) for _ in range(size)])
    # The first rows of some shards have results already.
    shards = {k: rows[k % 3 :] for k, rows in enumerate(split_into_shards(table, 150))}
    items = make_work_items(table, {k: rows for k, rows in shards.items() if len(rows)})
    blocks = list(split_into_blocks(items, actors=actors))
    assert all(block.schema == items.schema for block in blocks)
    flat = [item for block in blocks for item in block.to_pylist()]
    assert all(item["rows"] for item in flat)
    rows = [row for item in flat for row in item["rows"]]
    assert rows == [row for shard in shards.values() for row in shard.tolist()]
    assert [id for item in flat for id in item["pair_ids"]] == [f"p{row}" for row in rows]
    assert [name for item in flat for name in item["distorted"]] == [f"d{row}" for row in rows]
    references = table["reference"].to_pylist()
    for item in flat:
        assert {references[row] for row in item["rows"]} == {item["reference"]}
        assert set(item["rows"]) <= set(shards[item["shard"]].tolist())


@pytest.mark.parametrize("per_reference", [1, 24])
def test_last_blocks_get_smaller_so_that_actors_end_together(per_reference) -> None:
    table = manifest([f"r{i // per_reference}" for i in range(600)])
    items = make_work_items(table, dict(enumerate(split_into_shards(table, 600))))
    blocks = list(split_into_blocks(items, actors=2))
    rows = [block["rows"].combine_chunks().flatten().tolist() for block in blocks]
    assert list(chain.from_iterable(rows)) == list(range(600))
    sizes = [len(part) for part in rows]
    assert max(sizes) == max(16, per_reference)
    assert max(sizes[-3:]) <= 8
    assert len(blocks) < 1.4 * 600 / max(16, per_reference)
