from pathlib import Path

import pytest

from roi_ray.datasets.aic3 import import_aic3
from roi_ray.datasets.import_report import read_import_report
from roi_ray.errors import ManifestError
from tests.conftest import write

HEADER = """\
assignment,worker,method,task,question_id,img_num,codec_left,codec_pivot,codec_right,dlevel_left,\
dlevel_pivot,dlevel_right,img_left,img_pivot,img_right,is_same,is_cross,is_bias,is_trap,\
question_order,response,submission_time,response_time,reload_count,resolution,toggle_count"""
CODECS = {"0": "0ref", "1": "AVIF", "4": "JPEG-XL"}
FILE = "JPEG_AIC_SDR_PTC_JPEG_AI_responses_2025.02.28_v1"


def name(codec: str, level: str, study: str = "PTC") -> str:
    return f"{study}_00002_{CODECS[codec]}_{int(level):02}.png"


def row(left: str, right: str, response: str, study: str = "PTC", **cells: str) -> str:
    """Make a row of the study; a side is a codec and a level, such as "4 7"."""
    (codec_l, level_l), (codec_r, level_r) = left.split(), right.split()
    values = {
        "worker": "17",
        "method": study,
        "codec_left": codec_l,
        "codec_pivot": "0",
        "codec_right": codec_r,
        "dlevel_left": level_l,
        "dlevel_pivot": "0",
        "dlevel_right": level_r,
        "img_left": name(codec_l, level_l, study),
        "img_pivot": name("0", "0", study),
        "img_right": name(codec_r, level_r, study),
        "is_bias": "0",
        "is_trap": "0",
        "response": response,
    }
    return ",".join({**values, **cells}.get(column, "") for column in HEADER.split(","))


def make_data_set(folder: Path, *rows: str, file: str = FILE) -> str:
    write(folder / f"{file}.csv", "\n".join([HEADER, *rows]).encode())
    for codec in CODECS:
        for level in range(11):
            write(folder / "PTC3_images" / "00002_853x945" / name(codec, str(level)), b"")
    return str(folder)


def test_response_names_the_more_distorted_side(tmp_path) -> None:
    folder = make_data_set(tmp_path, row("4 7", "4 2", "left"), row("1 7", "4 7", "right"))
    table = import_aic3(folder)
    rows = table.to_pylist()
    images = f"{folder}/PTC3_images/00002_853x945"
    assert rows[0] == {
        "reference": f"{images}/PTC_00002_0ref_00.png",
        "a": f"{images}/PTC_00002_JPEG-XL_07.png",
        "b": f"{images}/PTC_00002_JPEG-XL_02.png",
        "p_a": 0.0,
        "rater": f"{FILE}/17",
        "tie": False,
        "group": f"{images}/PTC_00002_0ref_00.png",
        "dataset": "aic3",
        "codec_a": "JPEG-XL",
        "codec_b": "JPEG-XL",
        "method_a": "JPEG-XL_07",
        "method_b": "JPEG-XL_02",
    }
    assert rows[1]["p_a"] == 1.0 and rows[1]["codec_a"] == "AVIF"
    # Levels of different codecs cannot be compared.
    (check,) = read_import_report(table).direction_checks
    assert (check.rows, check.agreement) == (1, 1.0)


def test_level_0_is_compared_with_every_codec(tmp_path) -> None:
    table = import_aic3(
        make_data_set(tmp_path, row("0 0", "4 1", "left"), row("4 1", "0 0", "left"))
    )
    assert table["codec_a"].to_pylist() == [None, "JPEG-XL"]
    (check,) = read_import_report(table).direction_checks
    assert (check.rows, check.agreement) == (2, 0.5)


@pytest.mark.parametrize("answer", ["not sure", "notsure", "notSure", "not_sure"])
def test_not_sure_is_a_tie(tmp_path, answer) -> None:
    table = import_aic3(make_data_set(tmp_path, row("4 7", "4 2", answer)))
    assert table["p_a"].to_pylist() == [0.5] and table["tie"].to_pylist() == [True]


def test_dropped_rows_are_counted_by_reason(tmp_path) -> None:
    folder = make_data_set(
        tmp_path,
        row("4 7", "4 2", "left"),
        row("4 7", "4 2", "left", "BTC"),
        row("0 0", "4 10", "right", is_trap="1"),
        row("4 7", "4 7", "right", is_bias="1"),
        row("4 7", "4 2", "skip"),
        row("4 7", "4 2", ""),
        row("4 7", "4 2", "left", img_left="PTC_00009_JPEG-XL_07.png"),
    )
    table = import_aic3(folder)
    assert table.num_rows == 1
    assert read_import_report(table).dropped == {
        "of boosted triplets": 1,
        "that are trap questions": 1,
        "that are bias questions": 1,
        "that were skipped": 2,
        "with an image that is missing": 1,
    }


def test_iptc_rows_use_the_ptc_images(tmp_path) -> None:
    file = "JPEG-AIC_IPTC_final_response_data_2024_06_28 (1)"
    folder = make_data_set(tmp_path, row("4 8", "1 2", "left", "IPTC"), file=file)
    make_data_set(tmp_path, row("4 8", "1 2", "left"))
    write(tmp_path / "JPEG_AIC_SDR_PTC_JPEG_AI_user_data_2025.02.28_v1.csv", b"worker,age\n")
    rows = import_aic3(folder).to_pylist()
    assert rows[0]["a"] == rows[1]["a"] and rows[0]["a"].endswith("/PTC_00002_JPEG-XL_08.png")
    assert [row["rater"] for row in rows] == [f"{file}/17", f"{FILE}/17"]


def test_reversed_labels_are_refused(tmp_path) -> None:
    wrong = [row("4 7", "4 2", "right")] * 15 + [row("1 0", "1 9", "left")] * 15
    with pytest.raises(ManifestError, match=r"aic3: only 0\.0% of 30 answers agree"):
        import_aic3(make_data_set(tmp_path, *wrong))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row("4 7", "4 2", "up")], r"v1\.csv: row 1 has the response 'up'"),
        ([row("4 7", "4 2", "left", dlevel_left="x")], "row 1 has 'x' for 'dlevel_left'"),
        ([row("4 7", "4 2", "skip")], r"all were dropped \(1 that were skipped\)"),
    ],
)
def test_malformed_row_is_refused(tmp_path, rows, message) -> None:
    with pytest.raises(ManifestError, match=message):
        import_aic3(make_data_set(tmp_path, *rows))


def test_folder_without_the_data_set_is_refused(tmp_path) -> None:
    with pytest.raises(ManifestError, match=r"holds no \.csv file with 'response' in its name"):
        import_aic3(str(tmp_path))
    write(tmp_path / "responses.csv", b"response,img_left\nleft,x.png\n")
    with pytest.raises(ManifestError, match="column 'img_pivot' is missing"):
        import_aic3(str(tmp_path))
