"""Tables that cannot be used are refused by their label and key."""

import os

import pytest

from roi_ray.errors import UsageError
from roi_ray.sweep.external import KEYS, make_external_codec

TABLE = {"encode": ["cjxl", "{in}", "{out}", "-q", "{quality}"], "suffix": ".jxl"}
DECODE = {"decode": ["djxl", "{in}", "{out}"]}

WRONG = {
    "unknown key": (
        {"encod": []},
        r"an unknown key 'encod' \(did you mean 'encode'\?\); there are: q",
    ),
    "far from any key": ({"colour": 1}, "an unknown key 'colour'; there are: quality, encode"),
    "no encode": ({"encode": None}, r"`encode` is missing \(the encoder's command line"),
    "shell line": ({"encode": "cjxl {in}"}, "`encode` must be a list .* no shell .* 'cjxl {in}'"),
    "numbers": ({"encode": ["cjxl", 1]}, r"`encode` must be a list of texts, and is \['cjxl', 1\]"),
    "empty": ({"encode": []}, "`encode` names no program; write it as a list, such as"),
    "relative": (
        {"encode": ["./cjxl", "{in}", "{out}", "{quality}"]},
        f"'./cjxl' is a relative path, .* write '{os.getcwd()}/cjxl'",
    ),
    "no quality": ({"encode": ["a", "{in}", "{out}"]}, "`encode` lacks {quality}: `a {in} {out}`"),
    "no in": (
        {"encode": ["a", "{out}{quality}"]},
        "`encode` lacks {in}: .* needed are {in}, {o",
    ),
    "no out": ({"decode": ["a", "{in}"]}, "`decode` lacks {out}"),
    "misspelt": (
        {"encode": ["a", "{in}", "{out}", "{qualty}"]},
        r"unknown placeholder {qualty} \(did you mean 'quality'\?\)",
    ),
    "quality in decode": (
        {"decode": ["a", "{in}", "{out}", "{quality}"]},
        "`decode` has an unknown placeholder {quality}",
    ),
    "in version": ({"version": ["a", "{in}"]}, "`version` has an unknown .* {in}; it has none"),
    "null": ({"encode": ["a\0", "{in}"]}, "a null character"),
    "no suffix": ({"suffix": None}, "`suffix` is missing"),
    "suffix": ({"suffix": "jxl"}, "`suffix` must be a dot with letters .* and is 'jxl'"),
    "path": ({"suffix": "./x"}, "`suffix` must be a dot"),
    "input": ({"input": "bmp"}, "`input` must be png or ppm or y4m, and is 'bmp'"),
    "bits": ({"input_bits": 10}, "`input_bits` must be 8 or 16 for 'png' input, and is 10"),
    "bits of ppm": ({"input": "ppm", "input_bits": 9}, "must be 8 or 10 or 12 or 16 for 'ppm'"),
    "text of bits": ({"input_bits": "8"}, "`input_bits` must be 8 or 16"),
    "output": ({"output": "ppm"}, "`output` is for the decoder: add `decode`, or remove it"),
    "y4m": (DECODE | {"output": "y4m"}, "`output` is 'y4m', which says nothing .* `input = \"y4m"),
    "range": ({"quality_range": [1]}, r"`quality_range` must be two numbers, .* and is \[1\]"),
    "reverse": ({"quality_range": [9, 1]}, "`quality_range` must be the lower number first"),
    "text": ({"quality_range": ["1", "2"]}, "`quality_range` must be two numbers"),
    "infinite": ({"quality_range": [0, float("inf")]}, "`quality_range` must be two numbers"),
    "between": ({"quality_range": [0.1, 15]}, "has 0.1, which `quality_step` 1 does not divide"),
    "step": ({"quality_step": 0}, "`quality_step` must be a number above 0, and is 0"),
    "better": ({"higher_is_better": "no"}, "`higher_is_better` must be true or false"),
    "time": ({"time_limit": -1}, "`time_limit` must be a number above 0, and is -1"),
    "true": ({"time_limit": True}, "`time_limit` must be a number above 0, and is True"),
    "nan": ({"cpus": float("nan")}, "`cpus` must be a number above 0, and is nan"),
    "resource": ({"resource": 1}, "`resource` must be a text, and is 1"),
    "environment": ({"environment": ["A"]}, "`environment` must be a table"),
    "value": ({"environment": {"A": 1}}, "`environment` must have texts: A = 1 should be in quo"),
    "name": ({"environment": {"A=B": "1"}}, "`environment` cannot set 'A=B'"),
    "own": ({"environment": {"ROI_RAY_FOLDER": ""}}, "cannot set 'ROI_RAY_FOLDER'"),
    "passed": ({"pass_environment": "PATH"}, "`pass_environment` must be a list of texts"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_table_names_label_and_key(case):
    changes, message = WRONG[case]
    table = {key: value for key, value in (TABLE | changes).items() if value is not None}
    with pytest.raises(UsageError, match=message) as caught:
        make_external_codec("mine", table)
    assert str(caught.value).startswith("[codecs.mine]")


def test_defaults():
    codec = make_external_codec("mine", TABLE)
    assert (codec.label, codec.suffix, codec.decoded_suffix) == ("mine", ".jxl", None)
    assert (codec.resource, codec.cpus) == (None, 1)
    scale = codec.scale
    assert (scale.lowest, scale.highest, scale.step, scale.higher_is_better) == (0, 100, 1, True)
    assert scale.defaults == (20, 40, 60, 80)
    for quality in scale.defaults:
        scale.check(quality, "mine")
    with pytest.raises(UsageError, match=r"mine has no quality 101.*`quality_range` and"):
        scale.check(101, "mine")
    assert codec.decode(b"any").data is None


def test_scale_and_resources_are_those_of_the_table():
    changes = {"quality_range": [0.5, 3], "quality_step": 0.1, "higher_is_better": False}
    table = TABLE | DECODE | changes | {"cpus": 4, "resource": "encoders", "output": "ppm"}
    codec = make_external_codec("mine", table)
    assert codec.scale.defaults == (1.0, 1.5, 2.0, 2.5)
    for quality in (0.5, 0.7, 3, *codec.scale.defaults):
        codec.scale.check(quality, "mine")
    assert not codec.scale.higher_is_better
    assert (codec.cpus, codec.resource, codec.decoded_suffix) == (4, "encoders", ".ppm")


def test_settings_have_what_decides_the_files_and_nothing_else():
    table = TABLE | DECODE | {"environment": {"A": "1 2"}, "pass_environment": ["LD_LIBRARY_PATH"]}
    settings = make_external_codec("mine", table).settings
    assert settings == (
        'encode=["cjxl", "{in}", "{out}", "-q", "{quality}"] input="png" input_bits=8 '
        'decode=["djxl", "{in}", "{out}"] output="png" environment={"A": "1 2"} '
        'pass_environment=["LD_LIBRARY_PATH"]'
    )
    execution = {"time_limit": 1, "output_limit": 9, "memory_limit": 9, "cpus": 2, "resource": "a"}
    assert make_external_codec("mine", table | execution).settings == settings
    assert {*table, *execution} <= set(KEYS)
