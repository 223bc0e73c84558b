"""Tables that do not exist, or lie deeper: the message says what is there."""

import os

import pytest

from roi_ray.errors import ManifestError
from roi_ray.io import missing
from roi_ray.io.manifest import read_manifest
from roi_ray.io.nearby import list_some_below


def make(folder, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("")


def error_of(uri) -> str:
    with pytest.raises(ManifestError) as caught:
        read_manifest(str(uri))
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("sweep", "HERE/sweep.parquet"),
        ("sweep.csv", "HERE/sweep.parquet"),
        ("Sweep.Parquet", "HERE/sweep.parquet"),
        ("swep.parquet", "HERE/sweep.parquet"),
        ("sweep.parquet ", "HERE/sweep.parquet"),
        ("pairs", "HERE/Pairs.CSV"),
        ("part", "HERE/parts"),
        ("notes", "HERE/notes.txt"),
        ("parts/1", "HERE/parts/1.csv"),
    ],
)
def test_names_like_that_of_a_missing_table_are_named(tmp_path, name, there) -> None:
    make(tmp_path, "sweep.parquet", "Pairs.CSV", "notes.txt", "parts/1.csv")
    there = there.replace("HERE", str(tmp_path))
    assert error_of(tmp_path / name) == (
        f"no such file or folder: {tmp_path}/{name}; there is {there}"
    )


def test_missing_table_that_nothing_is_like(tmp_path) -> None:
    make(tmp_path, *(f"{letter * 5}.csv" for letter in "abcde"), "data/x.csv")
    assert error_of(tmp_path / "1").endswith(
        "; its folder has aaaaa.csv, bbbbb.csv, ccccc.csv and 2 more"
    )
    assert error_of(tmp_path / "data/deep/1").endswith(f"; there is no folder {tmp_path}/data/deep")
    missing_folder = error_of(tmp_path / "Data" / "x.csv")
    assert missing_folder.endswith(f"; there is no folder {tmp_path}/Data, but {tmp_path}/data")


@pytest.mark.parametrize(
    ("paths", "hint"),
    [
        ([], "; it is empty"),
        (["a/b/m.csv"], "; 1 .csv file lies deeper, in a/b: name HERE/a/b"),
        (
            ["a/1.parquet", "a/2.parquet", "b/3.parquet", "_c/4.parquet"],
            "; 3 .parquet files lie deeper, in a, b: name one of these folders, such as HERE/a; or "
            "name the folders NAME=VALUE, such as codec=jpeg, which makes them one table with a "
            "column NAME",
        ),
        (["sweep.xlsx", "x/y.png"], "; it has sweep.xlsx"),
        (["_m.csv", "_n.csv"], "; names that begin with _ or . are skipped: _m.csv, _n.csv"),
        (["x/y.png"], ""),
    ],
)
def test_folder_without_tables_says_what_it_has(tmp_path, paths, hint) -> None:
    make(tmp_path, *paths)
    expected = f"{tmp_path} contains no .parquet, .csv, .jsonl, .ndjson file{hint}"
    assert error_of(tmp_path) == expected.replace("HERE", str(tmp_path))


def test_only_few_names_are_looked_at(tmp_path, monkeypatch) -> None:
    make(tmp_path, *(f"a/{number}.csv" for number in range(60)), "b/c/d.csv")
    os.symlink(tmp_path, tmp_path / "a" / "loop")
    files, complete = list_some_below(str(tmp_path))
    assert (len(files), complete) == (61, True)
    monkeypatch.setattr(missing, "list_some_below", lambda folder: list_some_below(folder, 40))
    assert "; at least 38 .csv files lie deeper, in a: name " in error_of(tmp_path)
