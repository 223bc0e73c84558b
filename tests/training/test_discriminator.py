import pytest
import torch
import typer

import roi_ray
from roi_ray.cli import train_discriminator
from roi_ray.errors import ManifestError, UsageError
from roi_ray.imaging.decode import decode_image
from roi_ray.io import storage
from roi_ray.io.manifest import read_manifest
from roi_ray.runtime import train_loop
from roi_ray.sweep import photographs
from roi_ray.training import discriminator
from roi_ray.training.discriminator import DiscriminatorTraining, to_safetensors_state
from roi_ray.training.recipes import DiscriminatorRecipe
from roi_ray.training.windows import Original, draw_windows, read_originals
from tests.conftest import write_sweep


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    crops = {
        name: decode_image(path.read_bytes())[100:260, 100:260]
        for name, path in photographs().items()
    }
    return write_sweep(crops, folder, {"jpeg": [5, 30], "webp": [5]})


@pytest.fixture(scope="module")
def originals(manifest):
    return read_originals(read_manifest(manifest))


def train(originals, **options):
    training = DiscriminatorTraining(
        originals,
        DiscriminatorRecipe(**{"steps": 2, "batch_size": 2, "generator_start": 0.0} | options),
    )
    losses = [training.step(number) for number in range(training.steps)]
    return training.state(), losses


def run(manifest, tmp_path, **options):
    defaults = {"generator": True, "steps": 2, "batch": 2, "order": 0.5, "seed": 0, "held_out": 2}
    rest = {"runs": str(tmp_path / "runs"), "every": 50, "workers": 1, "gpu": False}
    output = str(tmp_path / "d.safetensors")
    train_discriminator.main(manifest=manifest, output=output, **defaults | rest | options)
    return output


def test_run_name_depends_on_the_training_version_and_not_on_the_release(
    tmp_path, manifest, monkeypatch
):
    names = []

    def fit(make_training, *, name, **options):
        names.append(name)
        raise UsageError("stop before training")

    def run_until_fit():
        with pytest.raises(typer.Exit):
            run(manifest, tmp_path)

    monkeypatch.setattr(train_loop, "fit", fit)
    run_until_fit()
    monkeypatch.setattr(roi_ray, "__version__", "99.0.0")
    run_until_fit()
    monkeypatch.setattr(discriminator, "TRAINING_VERSION", -1)
    run_until_fit()
    assert names[0] == names[1] != names[2]
    assert all(name.startswith("discriminator-") for name in names)


def test_loss_falls_on_originals_against_bad_jpegs(originals):
    bad = [Original(o.name, o.uri, o.decoded[:1]) for o in originals]
    _, losses = train(bad, steps=80, generator=False)
    early, late = (sum(loss["d"] for loss in part) / 10 for part in (losses[:10], losses[-10:]))
    assert late + 0.01 < early < 0.71  # log 2 = 0.693 is chance


def test_generator_joins_after_generator_start_or_never(originals):
    for generator in (True, False):
        _, losses = train(originals, steps=6, generator=generator, generator_start=0.5)
        assert ["adversarial" in loss for loss in losses] == [False] * 3 + [generator] * 3


def test_ranking_loss_falls_only_if_it_has_a_weight(originals):
    jpegs = [Original(o.name, o.uri, o.decoded[:2]) for o in originals]
    options = {"steps": 36, "batch_size": 4, "crops_per_image": 1, "generator": False}
    ranked, unranked = (train(jpegs, ranking_weight=w, **options)[1] for w in (1.0, 0.0))
    late, other = (sum(x["ranking"] for x in losses[18:]) / 18 for losses in (ranked, unranked))
    assert late < 0.66 < other + 0.05  # log 2 = 0.693 is chance
    assert late + 0.01 < other


def test_generator_l1_loss_falls(originals):
    # The loss varies less over windows of one image.
    one = [Original(o.name, o.uri, o.decoded[:1]) for o in originals[2:3]]
    _, losses = train(one, steps=16, batch_size=1, crops_per_image=1, generator_start=0.0)
    early, late = (sum(loss["l1"] for loss in part) / 5 for part in (losses[:5], losses[-5:]))
    assert late < early


def test_windows_are_ordered_by_error_and_depend_on_their_seed_only(originals):
    windows = draw_windows(originals, 2, ["a", "b", "c"])
    assert windows.real.shape == windows.better.shape == windows.worse.shape == (6, 3, 128, 128)
    better, worse = (
        (side - windows.real).square().mean((1, 2, 3)) for side in (windows.better, windows.worse)
    )
    assert (better <= worse).all()
    assert (better > 0).all()
    again = draw_windows(originals, 2, ["c"])
    assert torch.equal(again.real, windows.real[4:])


def test_written_weights_have_spectral_norm_folded_in(originals):
    tensors = to_safetensors_state(train(originals)[0])
    assert sorted(tensors) == sorted(
        f"model.{index}.{leaf}" for index in (0, 2, 4, 6, 7, 9) for leaf in ("weight", "bias")
    )
    for index in (0, 2, 4, 7):
        weight = tensors[f"model.{index}.weight"].float().flatten(1)
        assert torch.linalg.matrix_norm(weight, 2) == pytest.approx(1, abs=0.3)


def test_same_seed_gives_the_same_weights(originals):
    states = [train(originals, seed=seed)[0] for seed in (1, 1, 2)]
    first, same, other = map(to_safetensors_state, states)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_resumed_training_gives_the_same_weights(originals):
    whole, _ = train(originals, steps=4)
    half = DiscriminatorTraining(
        originals, DiscriminatorRecipe(steps=4, batch_size=2, generator_start=0.0)
    )
    for number in (0, 1):
        half.step(number)
    rest = DiscriminatorTraining(
        originals, DiscriminatorRecipe(steps=4, batch_size=2, generator_start=0.0)
    )
    rest.load(half.state())
    for number in (2, 3):
        rest.step(number)
    resumed = to_safetensors_state(rest.state())
    assert all(
        torch.equal(tensor, resumed[name]) for name, tensor in to_safetensors_state(whole).items()
    )


def test_manifest_without_codecs_can_be_trained_on(tmp_path, originals):
    plain = tmp_path / "pairs.csv"
    rows = [f"{original.uri},{d.uri}" for original in originals for d in original.decoded]
    plain.write_text("\n".join(["reference,distorted", *rows]))
    manifest = read_manifest(str(plain))
    with pytest.raises(ManifestError, match=r"pairs.csv: .*jpg is not below .*--allow-prefix"):
        read_originals(manifest)
    bare = read_originals(manifest, [storage.parent(storage.parent(originals[0].uri))])
    assert len(bare) == len(photographs())
    assert bare[0].decoded[0].codec is None
    train(bare)


def test_unusable_images_and_options_are_errors(tmp_path, capsys):
    crop = decode_image(photographs()["coffee"].read_bytes())[:90, :90]
    manifest = write_sweep({"a": crop, "b": crop}, tmp_path, {"jpeg": [50]})
    with pytest.raises(ManifestError, match="128 x 128 pixels or more"):
        train(read_originals(read_manifest(manifest)))
    with pytest.raises(typer.Exit):
        run(manifest, tmp_path)
    assert "--held-out 2 leaves no references to train on" in capsys.readouterr().err
    with pytest.raises(typer.Exit):
        run(manifest, tmp_path, batch=3, workers=2)
    assert "a --batch of 3 cannot be divided among 2 workers" in capsys.readouterr().err
