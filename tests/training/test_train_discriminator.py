import re

import pytest
import torch
import typer

from jobs import train_discriminator
from roi_ray import images
from roi_ray.errors import ManifestError
from roi_ray.models.discriminator import load_discriminator
from roi_ray.sweep import make_sweep, photographs
from roi_ray.training import discriminator


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    crops = {
        name: images.decode(path.read_bytes())[100:260, 100:260]
        for name, path in photographs().items()
    }
    qualities = {"jpeg": [5, 30], "webp": [5]}
    make_sweep(crops, str(folder), codecs=["jpeg", "webp"], qualities=qualities)
    return str(folder / "manifest.parquet")


def train(originals, **options):
    options = {"steps": 2, "batch": 2, "crops": 1, "report": lambda line: None} | options
    return discriminator.train(originals, **options)


def test_the_job_trains_and_its_output_loads(tmp_path, manifest, capsys):
    output = tmp_path / "d.safetensors"
    train_discriminator.main(manifest=manifest, output=str(output), steps=2, seed=0, held_out=2)
    text = capsys.readouterr().out
    assert re.search(r"step 2/2  loss 0\.\d+", text)
    assert re.search(r"AUC: all \S+  jpeg \S+  webp \S+  .*bpp", text)
    assert re.search(r"as JPEG: original \S+  q90 \S+ .* q10 \S+", text)
    _, identity = load_discriminator(str(output))
    assert identity.sha256 in text


def test_it_learns_to_tell_originals_from_bad_jpegs(manifest):
    originals = [
        discriminator.Original(o.name, o.uri, o.decoded[:1])
        for o in discriminator.read_originals(manifest)
    ]
    lines = []
    train(originals, steps=60, batch=4, crops=2, report=lines.append)
    first, last = (float(line.split()[-1]) for line in lines)
    assert last < first < 0.75


def test_spectral_norm_is_gone_but_held(manifest):
    network = train(discriminator.read_originals(manifest))
    tensors = discriminator.packed(network)
    assert sorted(tensors) == sorted(
        f"model.{index}.{leaf}" for index in (0, 2, 4, 6, 8) for leaf in ("weight", "bias")
    )
    for index in (0, 2, 4, 6):
        weight = tensors[f"model.{index}.weight"].float().flatten(1)
        assert torch.linalg.matrix_norm(weight, 2) == pytest.approx(1, abs=0.3)


def test_the_same_seed_gives_the_same_weights(manifest):
    originals = discriminator.read_originals(manifest)
    one, same, other = (discriminator.packed(train(originals, seed=seed)) for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_manifest_without_codecs_will_do(tmp_path, manifest):
    plain = tmp_path / "pairs.csv"
    rows = [
        f"{original.uri},{decoded.uri}"
        for original in discriminator.read_originals(manifest)
        for decoded in original.decoded
    ]
    plain.write_text("\n".join(["reference,distorted", *rows]))
    originals = discriminator.read_originals(str(plain))
    assert len(originals) == len(photographs())
    assert originals[0].decoded[0].codec is None
    train(originals)


def test_images_that_are_too_small(tmp_path, capsys):
    crop = images.decode(photographs()["coffee"].read_bytes())[:90, :90]
    make_sweep({"a": crop, "b": crop}, str(tmp_path), codecs=["jpeg"])
    manifest = str(tmp_path / "manifest.parquet")
    with pytest.raises(ManifestError, match="128 x 128 pixels or more"):
        train(discriminator.read_originals(manifest))
    with pytest.raises(typer.Exit):
        train_discriminator.main(
            manifest=manifest, output=str(tmp_path / "d"), steps=1, seed=0, held_out=2
        )
    assert "has no more than 2 references" in capsys.readouterr().err
