"""How many processes fit into the memory of machines of several sizes."""

import pytest

from roi_ray.runtime.fit import Demand, Node, choose_object_store, fit_process, fit_workers

GB = 10**9


def demand(megapixels: float, chunks: float = 0.1) -> Demand:
    """What images need at 50 bytes per pixel, in processes like ours."""
    return Demand(
        pixels=int(megapixels * 1e6),
        scorer_base=int(0.7 * GB),
        decoder_base=int(0.25 * GB),
        scoring=int(megapixels * 5e7),
        decoding=int(megapixels * 2e7),
        chunks=int(chunks * GB),
        chunk_bytes=1,
    )


LAPTOP = Node(slots=8, cpus=8, memory=int(3.5 * GB), object_store=int(1.5 * GB))
DESKTOP = Node(slots=8, cpus=8, memory=12 * GB, object_store=5 * GB)
SERVER = Node(slots=64, cpus=64, memory=150 * GB, object_store=60 * GB)


@pytest.mark.parametrize(
    ("node", "megapixels", "actors"),
    [(LAPTOP, 0.3, 3), (LAPTOP, 24, 1), (DESKTOP, 24, 4), (SERVER, 0.3, 64), (SERVER, 67, 30)],
)
def test_as_many_actors_as_memory_holds(node, megapixels, actors) -> None:
    fit = fit_workers([node], [demand(megapixels)])
    assert fit.actors == actors
    assert fit.decoders >= 1
    used = fit.actors * fit.demand.actor + fit.decoders * fit.demand.decoder
    assert used <= 0.9 * node.memory
    assert fit_workers([node, node], [demand(megapixels)]).actors == 2 * actors


def test_a_small_object_store_limits_the_actors() -> None:
    fit = fit_workers([DESKTOP._replace(object_store=2 * GB)], [demand(1, chunks=0.2)])
    # Two chunks of 0.2 GB for each process in 60 % of 2 GB: three processes.
    assert (fit.actors, fit.decoders) == (2, 1)


def test_smaller_images_are_planned_where_the_number_of_actors_is_given() -> None:
    demands = [demand(24), demand(12), demand(6), demand(0.1)]
    assert fit_workers([LAPTOP], demands).demand.pixels == 24e6
    assert fit_workers([LAPTOP], demands, 2).demand.pixels == 12e6
    assert fit_workers([LAPTOP], demands, 3).demand.pixels == 0.1e6
    assert fit_workers([LAPTOP], demands, 8) is None


def test_small_chunks_are_taken_only_where_they_leave_room_for_more_actors() -> None:
    large, small = demand(1, chunks=1), demand(1, chunks=0.1)
    assert fit_workers([SERVER], [large, small]).demand is small
    assert fit_workers([SERVER._replace(object_store=300 * GB)], [large, small]).demand is large
    assert fit_workers([SERVER], [large, small], 12).demand is large
    assert choose_object_store(24 * GB, 2, [large, small]) > 9 * GB
    assert choose_object_store(8 * GB, 2, [large, small]) < 2 * GB


def test_nodes_without_a_place_for_an_actor_do_not_count() -> None:
    head = Node(slots=0, cpus=0, memory=8 * GB, object_store=2 * GB)
    assert fit_workers([head], [demand(1)]) is None
    assert fit_workers([head, LAPTOP], [demand(1)]).actors == 3


@pytest.mark.parametrize("megapixels", [0.3, 24])
def test_the_object_store_leaves_memory_to_the_actors(megapixels) -> None:
    demands = [demand(megapixels)]
    store = choose_object_store(5 * GB, 8, demands)
    node = Node(8, 8, 5 * GB - store, store)
    assert fit_workers([node], demands).actors >= fit_workers([LAPTOP], demands).actors
    assert choose_object_store(GB, 8, demands) is None


def test_one_process_decodes_ahead_as_far_as_memory_allows() -> None:
    demands = [demand(24), demand(12)]
    assert fit_process(24 * GB, demands, 4) == (demands[0], 4)
    assert fit_process(4 * GB, demands, 4) == (demands[0], 2)
    assert fit_process(3 * GB, demands, 4) == (demands[0], 0)
    assert fit_process(2 * GB, demands, 4) == (demands[1], 0)
    assert fit_process(GB, demands, 4) == (demands[1], 0)
    assert fit_process(GB, [], 4) == (None, 4)
