import pytest

from roi_ray.errors import UsageError
from roi_ray.sweep.builtin import make_codec


@pytest.mark.parametrize(
    ("name", "options", "label", "settings"),
    [
        ("avif", {}, "avif", "depth=8 speed=6 subsampling=420"),
        (
            "avif",
            {"subsampling": 444, "speed": 9},
            "avif-speed=9-subsampling=444",
            "depth=8 speed=9 subsampling=444",
        ),
        ("avif", {"444": True}, "avif-subsampling=444", "depth=8 speed=6 subsampling=444"),
        ("avif", {"speed": "6"}, "avif", "depth=8 speed=6 subsampling=420"),
        (
            "jpeg",
            {"progressive": True, "optimize": "false"},
            "jpeg-optimize=false-progressive=true",
            "optimize=false progressive=true subsampling=420",
        ),
        ("jpegxl", {"depth": "source", "effort": "3"}, "jpegxl-effort=3", "depth=source effort=3"),
        ("jpegxl", {"depth": "16"}, "jpegxl-depth=16", "depth=16 effort=7"),
        ("jpeg2000", {}, "jpeg2000", ""),
    ],
)
def test_label_has_the_options_that_differ_and_settings_have_all(name, options, label, settings):
    codec = make_codec(name, options)
    assert codec.label == label
    assert codec.settings == settings


def test_label_of_the_user_replaces_the_made_one():
    assert make_codec("avif", {"speed": 9}, label="fast").label == "fast"


@pytest.mark.parametrize("label", ["", ".hidden", "a/b", "a b", "a\n", "-x", "é", "a" * 101])
def test_label_that_cannot_be_a_file_name_is_refused(label):
    with pytest.raises(UsageError, match="cannot name a codec"):
        make_codec("avif", label=label)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("avfi", {}, r"unknown codec 'avfi' \(did you mean 'avif'\?\); choose from jpeg, jpegli"),
        ("h265", {}, "unknown codec 'h265'; choose from jpeg, jpegli, webp"),
        ("avif", {"sped": 3}, r"no option 'sped' \(did you mean 'speed'\?\); it has depth, speed"),
        ("avif", {"445": True}, "no option '445'"),
        ("avif", {"444": 3}, "no option '444'"),
        ("avif", {"speed": 11}, "speed=11 cannot be used; choose 0 to 10"),
        ("avif", {"speed": "fast"}, "speed=fast cannot be used; choose 0 to 10"),
        ("avif", {"speed": True}, "speed=True cannot be used"),
        ("avif", {"speed": 6.0}, r"speed=6\.0 cannot be used"),
        ("avif", {"speed": [6]}, r"speed=\[6\] cannot be used"),
        ("jpegxl", {"depth": "12"}, "depth=12 cannot be used; choose source, 8 or 16"),
        ("jpegxl", {"depth": True}, "depth=True cannot be used"),
        ("htj2k", {"source": True}, "no option 'source'"),
        ("avif", {"speed": "-1"}, "speed=-1 cannot be used"),
        ("avif", {"subsampling": 411}, "subsampling=411 cannot be used; choose 420, 422 or 444"),
        ("avif", {"444": True, "subsampling": 420}, "option subsampling is given twice"),
        ("avif", {"444": True, "422": True}, "option subsampling is given twice"),
        ("jpeg", {"progressive": "maybe"}, "progressive=maybe cannot be used; choose true or fal"),
        ("jpeg", {"progressive": 1}, "progressive=1 cannot be used; choose true or false"),
        ("jpeg2000", {"speed": 1}, "jpeg2000 has no option 'speed', and no other"),
    ],
)
def test_option_that_does_not_exist_or_fit_is_refused(name, options, message):
    with pytest.raises(UsageError, match=message):
        make_codec(name, options)
