import pytest

from roi_ray.errors import UsageError
from roi_ray.sweep.plan import Target, make_plan, parse_match, parse_qualities


def targets_of(plan):
    return {planned.codec.label: [str(target) for target in planned.targets] for planned in plan}


@pytest.mark.parametrize(
    ("text", "qualities"),
    [
        ("10..95:5", tuple(range(10, 100, 5))),
        ("1..3", (1, 2, 3)),
        ("0.5..1:0.1", (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
        ("20, 35.5,50", (20, 35.5, 50)),
        ("7", (7,)),
        ("10..95:50", (10, 60)),
    ],
)
def test_qualities_are_lists_or_ranges(text, qualities):
    assert parse_qualities(text) == qualities


@pytest.mark.parametrize(
    "text", ["", "a", "5..1", "1..5:0", "1..5:-1", "1,,2", "0..1:1e-9", "1..2..3"]
)
def test_other_qualities_are_refused(text):
    with pytest.raises(UsageError, match="qualities are numbers"):
        parse_qualities(text)


@pytest.mark.parametrize(
    ("text", "label", "targets"),
    [
        ("jpeg:10..30:10", "jpeg", ["quality=10", "quality=20", "quality=30"]),
        ("jpeg:10..30:10:444", "jpeg-subsampling=444", ["quality=10", "quality=20", "quality=30"]),
        ("avif:20,35:speed=9,444", "avif-speed=9-subsampling=444", ["quality=20", "quality=35"]),
        ("jpeg:50:progressive", "jpeg-progressive=true", ["quality=50"]),
        ("webp::method=6", "webp-method=6", None),
        ("webp:method=6", "webp-method=6", None),
        ("webp", "webp", None),
    ],
)
def test_codec_texts(text, label, targets):
    [(planned_label, planned)] = targets_of(make_plan([text])).items()
    assert planned_label == label
    assert planned == (targets or [f"quality={q}" for q in (5, 20, 50, 75, 90)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jepg:50", "unknown codec 'jepg'.*jpeg"),
        ("jpeg:0", "jpeg has no quality 0; choose whole numbers from 1 to 100"),
        ("jpeg:50.5", "jpeg has no quality 50.5"),
        ("jpeg:50:quality=3:444", "NAME:QUALITIES:OPTIONS"),
        ("jpeg:50:speed=3", "speed"),
        ("jpeg:50:444,444", "occurs twice"),
        ("", "unknown codec ''"),
    ],
)
def test_impossible_codecs_are_named(text, message):
    with pytest.raises(UsageError, match=message):
        make_plan([text])


def test_plan_file_and_texts_are_joined(tmp_path):
    file = tmp_path / "plan.toml"
    file.write_text(
        """
        match = ["bpp=0.5"]
        [codecs.jpeg]
        quality = "10..20:10"
        [codecs.AVIF-fast]
        codec = "avif"
        speed = 9
        [codecs.mine]
        quality = [1, 2.5]
        encode = ["my-encoder", "{in}", "{out}", "-q", "{quality}"]
        quality_step = 0.5
        suffix = ".jxl"
        """
    )
    plan = make_plan(["jpeg:30", "webp:5"], str(file), ["ssimulacra2=70,80"])
    searched = ["bpp=0.5", "ssimulacra2=70", "ssimulacra2=80"]
    assert targets_of(plan) == {
        "jpeg": ["quality=30", *searched, "quality=10", "quality=20"],
        "webp": ["quality=5", *searched],
        "AVIF-fast": searched,
        "mine": ["quality=1", "quality=2.5", *searched],
    }
    assert "speed=9" in plan[2].codec.settings


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("codecs = 3", "each codec is a table"),
        ("[codec.jpeg]", "has 'codec'; a plan has tables"),
        ("[codecs.jpeg", "is not TOML"),
        ("[codecs.jpeg]\nquality = 'high'", "qualities are numbers"),
        ("[codecs.jpeg]\nquality = [true]", r"\[codecs.jpeg\]: quality is a list of numbers"),
        ("[codecs.jpeg]\nquality = []", "quality is a list of numbers"),
        ("[codecs.x]\nencode = 3", r"plan.toml: \[codecs.x\]: `encode`"),
        ("[codecs.jpeg]\nspeed = 3", r"\[codecs.jpeg\]: .*speed"),
        ("[codecs.jpeg]\ncodec = 3", "unknown codec '3'"),
        ("[codecs.'a/b']\ncodec = 'jpeg'", "'a/b' cannot name a codec"),
        ("match = [3]\n[codecs.jpeg]", "match is a list of texts"),
        ("[codecs.jpeg]\n[codecs.JPEG]\ncodec = 'jpeg'\nprogressive = true", "more than case"),
    ],
)
def test_unusable_plan_files_are_errors(tmp_path, toml, message):
    file = tmp_path / "plan.toml"
    file.write_text(toml)
    with pytest.raises(UsageError, match=message):
        make_plan(file=str(file))


def test_plan_without_codecs_or_with_two_of_one_label_is_refused(tmp_path):
    with pytest.raises(UsageError, match="needs a codec: name some with --codec"):
        make_plan()
    file = tmp_path / "plan.toml"
    file.write_text("[codecs.jpeg]\nprogressive = true")
    with pytest.raises(UsageError, match="codec 'jpeg' is planned twice"):
        make_plan(["jpeg"], str(file))


def test_lossless_codec_cannot_meet_targets():
    make_plan(["webp:75:lossless"])
    with pytest.raises(UsageError, match="webp-lossless=true is lossless: no quality .* bpp=0.5"):
        make_plan(["jpeg", "webp::lossless"], match=["bpp=0.5"])


def test_targets_are_read_and_checked():
    assert parse_match("bpp=0.25,0.5") == [Target("bpp", 0.25), Target("bpp", 0.5)]
    for text in ("bpp", "bpp=", "bpp=a", "=3", "size=3", "bpp=0", "psnr=1000"):
        with pytest.raises(UsageError):
            parse_match(text)
