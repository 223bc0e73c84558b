from roi_ray.training.split import file_stem, split_held_out


def test_split_depends_on_the_set_of_names_only():
    names = [f"image{number}" for number in range(20)]
    training, held_out = split_held_out(names, 5)
    assert (training, held_out) == split_held_out([*reversed(names), "image3"], 5)
    assert len(held_out) == 5
    assert sorted(training + held_out) == sorted(names)
    # Recorded: packaged networks were trained with this split, so it must never change.
    assert held_out == ["image0", "image13", "image17", "image6", "image9"]


def test_larger_held_out_set_contains_the_smaller_one():
    names = [f"image{number}" for number in range(20)]
    assert set(split_held_out(names, 5)[1]) < set(split_held_out(names, 8)[1])
    assert split_held_out(names, 30) == ([], sorted(names))


def test_names_with_the_same_key_stay_on_one_side():
    paths = ("a.b/image{}.png", "image{}.webp")
    names = [path.format(n) for n in range(20) for path in paths]
    training, held_out = split_held_out(names, 5, key=file_stem)
    bare = split_held_out([f"image{n}" for n in range(20)], 5)[1]
    assert {file_stem(name) for name in held_out} == set(bare)
    assert len(held_out) == 10 and len(training) == 30
    # Without a key, the whole name decides, including what looks like a suffix.
    numbered = [f"photo.{n:03}" for n in range(50)]
    assert split_held_out(numbered, 5)[1] != numbered[:5]
