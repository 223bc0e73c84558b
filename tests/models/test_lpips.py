import hashlib
import warnings

import lpips as lpips_package
import pytest
import torch

from roi_ray.errors import WeightsError
from roi_ray.models import lpips
from tests.conftest import Photos, jpeg

SIZES = [("astronaut", 512, 512), ("chelsea", 300, 451), ("rocket", 65, 64), ("coffee", 37, 600)]


def image(pixels):
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def measure(network, x, y):
    with torch.inference_mode():
        layers = network.maps(network.features(image(x)), network.layers(image(y)))
    return float(sum(layer.mean() for layer in layers))


def random_package(name):
    """The package's network with its own heads on a backbone of random weights."""
    torch.manual_seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lpips_package.LPIPS(net=name, pnet_rand=True, verbose=False).eval()


def torchvision_keys(package):
    """The backbone's tensors under the names that torchvision's files have."""
    return {
        f"features.{key.split('.', 1)[1]}": tensor
        for key, tensor in package.net.state_dict().items()
    }


@pytest.mark.parametrize("name", ["alex", "vgg", "squeeze"])
def test_equals_the_lpips_package(photos: Photos, name) -> None:
    package = random_package(name)
    ours = lpips.build_lpips(name, torchvision_keys(package), package.state_dict()).eval()
    for photo, height, width in SIZES[1:]:
        x = photos[photo][:height, :width]
        for y in (jpeg(x, 10), jpeg(x, 80)):
            with torch.inference_mode():
                expected = float(package(image(x), image(y), normalize=True))
            assert measure(ours, x, y) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["st-alex", "st-vgg"])
def test_equals_the_stlpips_package(photos: Photos, name) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from stlpips_pytorch import stlpips

        package = stlpips.LPIPS(
            net=name.removeprefix("st-"), variant="shift_tolerant", verbose=False
        )
    ours, used = lpips.load_lpips(name)
    assert [len(w.sha256) for w in used] == [64]
    for photo, height, width in SIZES[: 4 if name == "st-alex" else 0] or SIZES[2:]:
        x = photos[photo][:height, :width]
        for y in (jpeg(x, 10), jpeg(x, 80)):
            with torch.inference_mode():
                expected = float(package(image(x), image(y), normalize=True))
            assert measure(ours, x, y) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", lpips.NAMES)
def test_min_side_is_the_smallest_that_passes(name) -> None:
    if name.startswith("st-"):
        network, _ = lpips.load_lpips(name)
    else:
        package = random_package(name)
        network = lpips.build_lpips(name, torchvision_keys(package), package.state_dict())
    side = network.min_side
    with torch.inference_mode():
        assert len(network.features(torch.rand(1, 3, side, side))) in (5, 7)
        with pytest.raises(RuntimeError):
            network.features(torch.rand(1, 3, side - 1, side - 1))


def test_identical_images_get_zero_and_worse_ones_more(photos: Photos) -> None:
    network, _ = lpips.load_lpips("st-alex")
    x = photos["chelsea"]
    distances = [measure(network, x, y) for y in (x, jpeg(x, 90), jpeg(x, 30), jpeg(x, 5))]
    assert distances[0] == 0
    assert distances == sorted(distances)
    assert distances[3] > 10 * distances[1]


def test_a_backbone_file_by_torchvisions_name(tmp_path, monkeypatch, photos) -> None:
    """The whole way of `--lpips alex --weights-dir DIR`, hash check included."""
    package = random_package("alex")
    torch.save(torchvision_keys(package), tmp_path / "w")
    data = (tmp_path / "w").read_bytes()
    file = f"alexnet-owt-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    (tmp_path / file).write_bytes(data)
    monkeypatch.setattr(lpips, "_backbone_url", lambda _: (tmp_path / "none" / file).as_uri())
    network, used = lpips.load_lpips("alex", str(tmp_path))
    assert [w.name for w in used] == [file, "alex.pth"]
    x = photos["chelsea"]
    with torch.inference_mode():
        expected = float(package(image(x), image(jpeg(x, 20)), normalize=True))
    assert measure(network, x, jpeg(x, 20)) == pytest.approx(expected, abs=1e-5)


def test_unknown_names_and_other_weights_are_refused() -> None:
    with pytest.raises(WeightsError, match="no LPIPS network is called 'resnet'"):
        lpips.load_lpips("resnet")
    with pytest.raises(WeightsError, match="do not fit the LPIPS backbone"):
        lpips.build_lpips("alex", {"features.0.weight": torch.zeros(1)}, {})
