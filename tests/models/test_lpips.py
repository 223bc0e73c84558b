import hashlib
import warnings

import lpips as lpips_package
import pytest
import torch

from roi_ray.errors import WeightsError
from roi_ray.models import lpips
from tests.conftest import Photos, jpeg, run_in_triton_interpreter

SIZES = [("astronaut", 512, 512), ("chelsea", 300, 451), ("rocket", 65, 64), ("coffee", 37, 600)]


def image(pixels):
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def measure(network, x, y):
    with torch.inference_mode():
        layers = network.compute_maps(
            network.extract_features(image(x)), network.extract_activations(image(y))
        )
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


@pytest.mark.parametrize("name", lpips.LPIPS_NAMES)
def test_min_side_is_the_smallest_that_passes(name) -> None:
    if name.startswith("st-"):
        network, _ = lpips.load_lpips(name)
    else:
        package = random_package(name)
        network = lpips.build_lpips(name, torchvision_keys(package), package.state_dict())
    side = network.min_side
    with torch.inference_mode():
        assert len(network.extract_features(torch.rand(1, 3, side, side))) in (5, 7)
        with pytest.raises(RuntimeError):
            network.extract_features(torch.rand(1, 3, side - 1, side - 1))


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


KERNELS = """
from roi_ray.imaging.decode import decode_image
from roi_ray.models import lpips
from roi_ray.models.triton import distances
from roi_ray.models.triton.blur import blurred_pool
from roi_ray.models.shift_tolerant import Blur, BlurredPool
from roi_ray.sweep import photographs
from tests.conftest import jpeg
from tests.models.test_lpips import image
import torch

photo = decode_image(photographs()["chelsea"].read_bytes())[:33, :34]
network, _ = lpips.load_lpips("st-alex")
distorted = torch.cat([image(jpeg(photo, quality)) for quality in (10, 80)])
layers = network.extract_activations(distorted)
same = network.extract_features(image(photo))
for number, (layer, one) in enumerate(zip(layers, same, strict=True)):
    head = network.get_buffer(f"head{number}")
    for reference in (one, torch.cat([one, lpips._unit(layer[:1])])):
        ours = distances.distance(reference, layer, head)
        assert torch.allclose(ours, lpips._distance(reference, layer, head), rtol=1e-5, atol=1e-7)
    assert float(distances.distance(lpips._unit(layer), layer, head).max()) < 1e-12

pools = [module for module in network.modules() if isinstance(module, BlurredPool)]
assert len(pools) == 2
for pool in pools:
    channels = len(pool.blur.filt)
    # As small as it can be, and with more columns than the kernel takes at once.
    for size in ((5, 5), (6, 36)):
        x = torch.rand(1, channels, *size)
        ours = blurred_pool(x, pool.blur.filt, pool.window)
        assert torch.allclose(ours, pool(x), rtol=0, atol=1e-6)
        half = blurred_pool(x.half(), pool.blur.filt, pool.window)
        assert half.dtype == torch.float16
        assert torch.allclose(half.float(), ours, rtol=0, atol=2e-3)
x[0, 0, 0, 0] = float("nan")
assert torch.equal(blurred_pool(x, pool.blur.filt, pool.window).isnan(), pool(x).isnan())
# Another window, and channels that fill no block of the kernel's.
x, blur = torch.rand(2, 70, 4, 5), Blur(70)
blur.filt.data = torch.rand(70, 1, 3, 3)
expected = BlurredPool(torch.nn.MaxPool2d(2, stride=1), blur)(x)
assert torch.allclose(blurred_pool(x, blur.filt, 2), expected, rtol=0, atol=1e-5)
print("the same")
"""


def test_the_kernels_of_a_gpu_are_the_same() -> None:
    assert run_in_triton_interpreter(KERNELS) == "the same\n"
