import hashlib
import warnings
from pathlib import Path

import lpips as lpips_package
import pytest
import torch

from roi_ray.errors import WeightsError
from roi_ray.imaging.load import load_image
from roi_ray.models import backbones, loader, lpips
from tests.conftest import Photos, jpeg

SIZES = [("astronaut", 256, 256), ("chelsea", 171, 225), ("rocket", 65, 64), ("coffee", 37, 300)]


def image(pixels):
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def compute_lpips(network, x, y):
    with torch.inference_mode():
        layers = network.compute_maps(
            network.extract_features(image(x)), network.extract_activations(image(y))
        )
    return float(sum(layer.mean() for layer in layers))


def build_package_network(name):
    """Build the `lpips` package's network: trained heads on a backbone of random weights."""
    torch.manual_seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lpips_package.LPIPS(net=name, pnet_rand=True, verbose=False).eval()


def build_package_alex():
    """Build the `lpips` package's `alex` with the packaged backbone, which it would download."""
    package = build_package_network("alex")
    tensors = loader.load_packaged("lpips-alexnet").tensors
    names = {key: f"features.{key.split('.', 1)[1]}" for key in package.net.state_dict()}
    assert set(names.values()) == set(tensors)
    package.net.load_state_dict({key: tensors[name] for key, name in names.items()})
    return package


def build_shift_tolerant_package(name):
    """Build the `stlpips-pytorch` package's network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from stlpips_pytorch import stlpips

        return stlpips.LPIPS(
            net=name.removeprefix("st-"), variant="shift_tolerant", verbose=False
        ).eval()


def backbone_tensors(package):
    """Return the backbone's tensors by torchvision's names."""
    return {
        f"features.{key.split('.', 1)[1]}": tensor
        for key, tensor in package.net.state_dict().items()
    }


@pytest.mark.parametrize("name", ["alex", "vgg", "squeeze"])
def test_lpips_equals_the_lpips_package(photos: Photos, name) -> None:
    package = build_package_network(name)
    ours = lpips.build_lpips(name, backbone_tensors(package), package.state_dict()).eval()
    for photo, height, width in SIZES[1:]:
        x = photos[photo][:height, :width]
        for y in (jpeg(x, 10), jpeg(x, 80)):
            with torch.inference_mode():
                expected = float(package(image(x), image(y), normalize=True))
            assert compute_lpips(ours, x, y) == pytest.approx(expected, abs=1e-5)


def test_packaged_alex_equals_the_lpips_package(photos: Photos) -> None:
    package = build_package_alex()
    ours, used = lpips.load_lpips("alex")
    assert [weights.name for weights in used] == ["lpips-alexnet.safetensors", "alex.pth"]
    for photo, height, width in SIZES:
        x = photos[photo][:height, :width]
        for y in (jpeg(x, 10), jpeg(x, 80)):
            with torch.inference_mode():
                expected = float(package(image(x), image(y), normalize=True))
            assert compute_lpips(ours, x, y) == pytest.approx(expected, abs=1e-5)


PATCHES = Path(__file__).parents[3] / "shared" / "data" / "lpips"
TORCHVISION_FILE = Path(torch.hub.get_dir()) / "checkpoints" / "alexnet-owt-7be5be79.pth"


@pytest.mark.skipif(not PATCHES.is_dir(), reason=f"needs the patches of LPIPS in {PATCHES}")
def test_alex_gives_the_published_distances() -> None:
    network, _ = lpips.load_lpips("alex")
    reference, *distorted = (
        load_image(PATCHES / f"{name}.png") for name in ("ex_ref", "ex_p0", "ex_p1")
    )
    distances = [compute_lpips(network, reference, patch) for patch in distorted]
    assert distances == pytest.approx([0.72188, 0.13757], abs=5e-6)


@pytest.mark.skipif(
    not TORCHVISION_FILE.is_file(), reason=f"needs torchvision's weights in {TORCHVISION_FILE}"
)
def test_packaged_backbone_has_torchvisions_tensors() -> None:
    published = loader.load_weights(str(TORCHVISION_FILE), "7be5be79").tensors
    packaged = loader.load_packaged("lpips-alexnet").tensors
    assert set(packaged) == {name for name in published if name.startswith("features.")}
    assert all(torch.equal(packaged[name], published[name]) for name in packaged)


@pytest.mark.parametrize("name", ["st-alex", "st-vgg"])
def test_shift_tolerant_lpips_equals_the_stlpips_package(photos: Photos, name) -> None:
    package = build_shift_tolerant_package(name)
    ours, used = lpips.load_lpips(name)
    assert [len(w.sha256) for w in used] == [64]
    for photo, height, width in SIZES[: 4 if name == "st-alex" else 0] or SIZES[2:]:
        x = photos[photo][:height, :width]
        for y in (jpeg(x, 10), jpeg(x, 80)):
            with torch.inference_mode():
                expected = float(package(image(x), image(y), normalize=True))
            assert compute_lpips(ours, x, y) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", lpips.LPIPS_NAMES)
def test_min_side_is_the_smallest_image_that_passes(name) -> None:
    if name == "alex" or name.startswith("st-"):
        network, _ = lpips.load_lpips(name)
    else:
        package = build_package_network(name)
        network = lpips.build_lpips(name, backbone_tensors(package), package.state_dict())
    side = network.min_side
    with torch.inference_mode():
        assert len(network.extract_features(torch.rand(1, 3, side, side))) in (5, 7)
        with pytest.raises(RuntimeError):
            network.extract_features(torch.rand(1, 3, side - 1, side - 1))


@pytest.mark.parametrize("name", ["alex", "st-alex"])
def test_distance_is_0_for_identical_images_and_grows_with_distortion(photos: Photos, name) -> None:
    network, _ = lpips.load_lpips(name)
    x = photos["chelsea"][:171, :225]
    distances = [compute_lpips(network, x, y) for y in (x, jpeg(x, 90), jpeg(x, 30), jpeg(x, 5))]
    assert distances[0] == 0
    assert distances == sorted(distances)
    assert distances[3] > 10 * distances[1]


def test_backbone_in_weights_dir_is_checked_and_used(tmp_path, monkeypatch, photos) -> None:
    package = build_package_network("squeeze")
    torch.save(backbone_tensors(package), tmp_path / "w")
    data = (tmp_path / "w").read_bytes()
    file = f"squeezenet1_1-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    (tmp_path / file).write_bytes(data)
    monkeypatch.setattr(
        backbones, "_find_backbone_url", lambda _: (tmp_path / "none" / file).as_uri()
    )
    network, used = lpips.load_lpips("squeeze", str(tmp_path))
    assert [w.name for w in used] == [file, "squeeze.pth"]
    x = photos["chelsea"]
    with torch.inference_mode():
        expected = float(package(image(x), image(jpeg(x, 20)), normalize=True))
    assert compute_lpips(network, x, jpeg(x, 20)) == pytest.approx(expected, abs=1e-5)


def test_unknown_name_and_unfitting_weights_are_weights_errors() -> None:
    with pytest.raises(WeightsError, match="no LPIPS network is called 'resnet'"):
        lpips.load_lpips("resnet")
    with pytest.raises(WeightsError, match="do not fit the LPIPS backbone"):
        lpips.build_lpips("alex", {"features.0.weight": torch.zeros(1)}, {})


KERNELS = """
from roi_ray.imaging.decode import decode_image
from roi_ray.models import lpips
from roi_ray.models.triton import distances
from roi_ray.models.triton.blur import compute_blurred_pool
from roi_ray.models.shift_tolerant import Blur, BlurredPool
from roi_ray.sweep import photographs
from tests.conftest import jpeg
from tests.models.test_lpips import image
import torch

photo = decode_image(photographs()["chelsea"].read_bytes())[:33, :34]
network, _ = lpips.load_lpips("st-alex")
distorted = torch.cat([image(jpeg(photo, quality)) for quality in (10, 80)])
layers = network.extract_activations(distorted)
features = network.extract_features(image(photo))
for number, (layer, feature) in enumerate(zip(layers, features, strict=True)):
    head = network.get_buffer(f"head{number}")
    for reference in (feature, torch.cat([feature, lpips._normalize(layer[:1])])):
        ours = distances.compute_distance(reference, layer, head)
        expected = lpips._compute_distance(reference, layer, head)
        assert torch.allclose(ours, expected, rtol=1e-5, atol=1e-7)
    assert float(distances.compute_distance(lpips._normalize(layer), layer, head).max()) < 1e-12

pools = [module for module in network.modules() if isinstance(module, BlurredPool)]
assert len(pools) == 2
for pool in pools:
    channels = len(pool.blur.filt)
    # The smallest size, and one with more columns than a block of the kernel.
    for size in ((5, 5), (6, 36)):
        x = torch.rand(1, channels, *size)
        ours = compute_blurred_pool(x, pool.blur.filt, pool.window)
        assert torch.allclose(ours, pool(x), rtol=0, atol=1e-6)
        half = compute_blurred_pool(x.half(), pool.blur.filt, pool.window)
        assert half.dtype == torch.float16
        assert torch.allclose(half.float(), ours, rtol=0, atol=2e-3)
x[0, 0, 0, 0] = float("nan")
assert torch.equal(compute_blurred_pool(x, pool.blur.filt, pool.window).isnan(), pool(x).isnan())
# Another window, and channels that are not a multiple of the kernel's block.
x, blur = torch.rand(2, 70, 4, 5), Blur(70)
blur.filt.data = torch.rand(70, 1, 3, 3)
expected = BlurredPool(torch.nn.MaxPool2d(2, stride=1), blur)(x)
assert torch.allclose(compute_blurred_pool(x, blur.filt, 2), expected, rtol=0, atol=1e-5)
print("the same")
"""


def test_triton_kernels_equal_torch(run_in_triton_interpreter) -> None:
    assert run_in_triton_interpreter(KERNELS) == "the same\n"
