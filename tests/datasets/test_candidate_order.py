from roi_ray.datasets.candidate_order import becomes_a


def test_exactly_one_image_becomes_a_and_each_about_half_the_time() -> None:
    names = [f"I{i:02}_{j:02}.png" for i in range(30) for j in range(5)]
    pairs = [(x, y) for x in names for y in names if x < y]
    first = [becomes_a(x, y) for x, y in pairs]
    assert [not becomes_a(y, x) for x, y in pairs] == first
    assert 0.47 < sum(first) / len(first) < 0.53
