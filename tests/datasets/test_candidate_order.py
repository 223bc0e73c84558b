from roi_ray.datasets.candidate_order import becomes_a


def test_candidate_order_ignores_argument_order_and_is_balanced() -> None:
    names = [f"I{i:02}_{j:02}.png" for i in range(30) for j in range(5)]
    pairs = [(x, y) for x in names for y in names if x < y]
    first = [becomes_a(x, y) for x, y in pairs]
    assert [not becomes_a(y, x) for x, y in pairs] == first
    assert 0.47 < sum(first) / len(first) < 0.53
