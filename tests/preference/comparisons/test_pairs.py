from roi_ray.preference.comparisons.pairs import distinct_pairs


def test_distinct_pairs_lists_every_image_once(make_comparisons):
    pairs = distinct_pairs(make_comparisons())
    assert pairs.to_pylist() == [
        {"reference": "/d/x.png", "distorted": "/d/1.jpg"},
        {"reference": "/d/x.png", "distorted": "/d/2.jpg"},
        {"reference": "/d/y.png", "distorted": "/d/3.jpg"},
        {"reference": "/d/y.png", "distorted": "/d/4.jpg"},
    ]


def test_spellings_of_one_image_are_one_pair(make_comparisons):
    rows = {"reference": ["x.png", "./x.png"], "a": ["1.jpg", "y/../1.jpg"], "b": ["2.jpg"] * 2}
    pairs = distinct_pairs(make_comparisons(**rows, p_a=[0, 1]))
    assert len(pairs) == 2
