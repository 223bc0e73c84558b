"""`roi-ray compare`, `train` and `evaluate`, one after the other, on real images."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

from roi_ray import schema
from roi_ray.cli import compare, evaluate, train
from roi_ray.preference.comparisons.examples import to_examples
from roi_ray.preference.model.preference_model import load_preference_model
from roi_ray.preference.model.recipes import RECIPES
from roi_ray.preference.training.train import train_in_process
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL
from tests.conftest import make_sweep_of


@pytest.fixture(scope="module")
def choices(tmp_path_factory, photos):
    """All pairs of images of each reference in a small sweep; the higher bit rate wins."""
    folder = tmp_path_factory.mktemp("sweep")
    make_sweep_of(photos, folder)
    sweep = pq.read_table(folder / "manifest.parquet").to_pylist()
    rows = []
    for worse in sweep:
        for better in sweep:
            if worse["reference"] == better["reference"] and worse["bpp"] < better["bpp"]:
                a, b = (worse, better) if len(rows) % 2 else (better, worse)
                rows.append(
                    {
                        "reference": worse["reference"],
                        "a": a["distorted"],
                        "b": b["distorted"],
                        "p_a": float(a["bpp"] > b["bpp"]),
                        "bpp_a": a["bpp"],
                        "bpp_b": b["bpp"],
                    }
                )
    # 89, a prime number, which no number of workers divides.
    rows.pop()
    # A missing image fails only its own comparison.
    rows.append({**rows[0], "b": "decoded/missing.png"})
    pq.write_table(pa.Table.from_pylist(rows), folder / "choices.parquet")
    return str(folder / "choices.parquet")


@pytest.fixture(scope="module")
def compared(choices, tmp_path_factory):
    output = tmp_path_factory.mktemp("compared")
    options = {"scores": None, "weights_dir": None, "engine": "local", "shard_size": 16}
    compare.main(
        comparisons=choices,
        output=str(output),
        model=DEFAULT_PREFERENCE_MODEL,
        roi_weighting="mean",
        device="cpu",
        **options,
    )
    return output


def test_compare_adds_features_and_a_prediction(choices, compared):
    table = pq.read_table(compared / "comparisons.parquet")
    given = pq.read_table(choices)
    assert len(table) == len(given)
    assert table.column_names[: len(given.column_names)] != given.column_names  # typed, ordered
    added = {*schema.pair_columns(schema.QUALITY_COLUMNS), "p_a_preferred", "error_kind", "error"}
    assert {*given.column_names, *added} <= set(table.column_names)
    # URIs are absolute, because relative ones would point below the output folder.
    for name in ("reference", "a", "b"):
        assert table[name].to_pylist() == [
            str(Path(choices).parent / uri) for uri in given[name].to_pylist()
        ]
    errors = table["error"].to_pylist()
    assert errors[:-1] == [None] * (len(table) - 1)
    assert re.search(r"missing\.png.*\(side b\)", errors[-1])
    assert table["error_kind"].to_pylist() == [None] * (len(table) - 1) + ["ImageReadError"]
    predicted = table["p_a_preferred"].to_pylist()
    assert predicted[-1] is None
    # People would prefer quality 90 to quality 10, and so does the packaged model.
    right = [
        (p > 0.5) == (p_a > 0.5)
        for p, p_a in zip(predicted[:-1], table["p_a"].to_pylist()[:-1], strict=True)
    ]
    assert sum(right) / len(right) > 0.8


def test_every_image_is_scored_once(compared):
    scores = pq.read_table(compared / "_scored" / "scores").to_pylist()
    assert len(scores) == len({row["distorted"] for row in scores}) == 6 * 6 + 1


def test_compare_without_a_model_joins_existing_scores(choices, compared, tmp_path, capsys):
    compare.main(
        comparisons=choices,
        output=str(tmp_path),
        scores=str(compared / "_scored" / "scores"),
        model="none",
    )
    assert "90 comparisons, 1 without features" in capsys.readouterr().out
    alone = pq.read_table(tmp_path / "comparisons.parquet")
    both = pq.read_table(compared / "comparisons.parquet")
    assert alone.equals(both.drop_columns(["p_a_preferred"]))


def test_train_writes_a_model_that_evaluate_reports(compared, tmp_path, ray_cluster, capsys):
    comparisons = str(compared / "comparisons.parquet")
    model = str(tmp_path / "model.safetensors")
    train.main(
        comparisons=comparisons,
        output=model,
        features="psnr,roi_psnr",
        recipe="roi-ray",
        seed=0,
        runs=str(tmp_path / "runs"),
        workers=2,
        gpu=False,
    )
    text = capsys.readouterr().out
    assert "90 comparisons, 89 of them with labels and features, about 6 references" in text
    assert re.search(r"step \d+/\d+  loss 0\.", text)
    loaded = load_preference_model(model)
    assert loaded.identity["sha256"] in text
    asked = ("psnr", "roi_psnr")
    # Any number of workers trains the same model as one process.
    assert loaded.provenance["workers"] == 2
    examples = to_examples(pq.read_table(comparisons), asked, comparisons)
    alone = train_in_process(examples, RECIPES["roi-ray"])
    assert loaded.features == alone.features
    assert set(loaded.features) <= set(asked)  # those with a weight of 0 are left out
    examples = examples.only(loaded.features)
    np.testing.assert_allclose(
        *(m.predict(examples.a, examples.b) for m in (loaded, alone)), atol=1e-6
    )

    output = tmp_path / "evaluation"
    evaluate.main(
        comparisons=comparisons,
        output=str(output),
        recipe=["roi-ray"],
        model=[model],
        folds=2,
        repeats=1,
    )
    text = capsys.readouterr().out
    assert "90 comparisons, 89 used, about 6 references" in text
    lines = text.splitlines()
    order = [
        "ROI roi-ray: log-loss 0.",
        "BASIC roi-ray",
        "one metric alone:",
        "No question was asked twice",
        "ROI roi-ray against BASIC roi-ray:",
        "accuracy %",
    ]
    starts = [next(n for n, line in enumerate(lines) if line.startswith(each)) for each in order]
    assert starts == sorted(starts)
    assert re.search(r"  log-loss [+-]0\.\d{4} \(.*\), p [<=] 0\.\d+: ", text)
    assert "BASIC 76.72 %, ROI 78.40 %" in text
    report = lines[lines.index("90 comparisons, 89 used, about 6 references") :]
    assert max(map(len, report[:-1])) <= 100  # the last line is a path
    written = json.loads((output / "evaluation.json").read_text())
    accuracy = {line["name"]: line["accuracy"]["value"] for line in written["results"]}
    assert accuracy["ROI roi-ray"] > 0.8
    assert all(line["log_loss"]["value"] < 1 for line in written["results"])
    assert (output / "evaluation.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("job", "options", "text"),
    [
        (
            train,
            {"recipe": "other", "features": "roi"},
            "unknown recipe 'other': choose from paper",
        ),
        (train, {"recipe": "paper", "features": "vmaf"}, "unknown feature 'vmaf'"),
        (
            train,
            {"recipe": "roi-ray", "features": "roi", "epochs": 50},
            "the recipe 'roi-ray' has no epochs",
        ),
        (
            train,
            {"recipe": "paper", "features": "roi"},
            "do not have: make them again, with `roi-ray compare` and a new --output",
        ),
    ],
)
def test_unusable_arguments_print_one_line_and_exit_with_2(
    choices, tmp_path, capsys, job, options, text
):
    rest = {"seed": 0, "runs": str(tmp_path), "workers": None, "gpu": False}
    with pytest.raises(typer.Exit) as raised:
        job.main(comparisons=choices, output=str(tmp_path / "m.safetensors"), **options, **rest)
    assert raised.value.exit_code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert text in error


def test_model_for_other_settings_is_refused_before_scoring(choices, tmp_path, capsys):
    with pytest.raises(typer.Exit) as raised:
        compare.main(comparisons=choices, output=str(tmp_path / "out"), roi_weighting="normalised")
    assert raised.value.exit_code == 2
    error = capsys.readouterr().err
    assert "other weights or settings" in error and "roi_weighting=normalised" in error
    assert not (tmp_path / "out").exists()


def test_precision_auto_is_that_of_the_model(choices, tmp_path, capsys):
    with pytest.raises(typer.Exit):
        compare.main(
            comparisons=choices,
            output=str(tmp_path / "out"),
            roi_weighting="normalised",
            precision="auto",
            device="cuda",
        )
    # The packaged model was trained on scores in fp32; on a GPU, `auto` is fp16 otherwise.
    assert "roi_weighting=normalised precision=fp32" in capsys.readouterr().err


def test_too_many_comparisons_without_features_exit_with_3(choices, compared, tmp_path, capsys):
    with pytest.raises(typer.Exit) as raised:
        compare.main(
            comparisons=choices,
            output=str(tmp_path),
            scores=str(compared / "_scored" / "scores"),
            fail_above=0.01,
        )
    assert raised.value.exit_code == 3
    assert "more than --fail-above 0.01 have no features" in capsys.readouterr().err
    assert len(pq.read_table(tmp_path / "comparisons.parquet")) == 90


def test_output_without_safetensors_suffix_is_refused_before_training(tmp_path, capsys):
    with pytest.raises(typer.Exit) as raised:
        train.main(comparisons="none.parquet", output=str(tmp_path / "m.pt"))
    assert raised.value.exit_code == 2
    assert "m.pt does not end in .safetensors" in capsys.readouterr().err


def test_output_that_would_overwrite_comparisons_or_other_scores_is_refused(
    choices, compared, tmp_path, capsys
):
    def check_refused(text, **options):
        with pytest.raises(typer.Exit) as ended:
            compare.main(**options, scores=None, model="none", engine="local", device="cpu")
        assert ended.value.exit_code == 2
        assert text in capsys.readouterr().err

    comparisons = tmp_path / "comparisons.parquet"
    comparisons.write_bytes(Path(choices).read_bytes())
    for given in (tmp_path, comparisons):
        check_refused(
            "would overwrite the comparisons", comparisons=str(given), output=str(tmp_path)
        )
    assert comparisons.read_bytes() == Path(choices).read_bytes()
    fewer = Path(choices).with_name("fewer.parquet")
    pq.write_table(pq.read_table(choices).slice(0, 5), fewer)
    pairs = (compared / "_scored" / "pairs.parquet").read_bytes()
    check_refused(
        "scores of other comparisons' images", comparisons=str(fewer), output=str(compared)
    )
    assert (compared / "_scored" / "pairs.parquet").read_bytes() == pairs
