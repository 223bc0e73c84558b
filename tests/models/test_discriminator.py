import hashlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations

from roi_ray.errors import WeightsError
from roi_ray.imaging.decode import decode_image
from roi_ray.models import loader
from roi_ray.models.discriminator import build_patch_layers, load_discriminator
from roi_ray.settings import DEFAULT_DISCRIMINATOR
from roi_ray.sweep import CODECS, photographs

# Mean d_loss of photographs as they are.
RECORDED = {"astronaut": 0.662048, "coffee": 0.465421, "rocket": 0.465259}
CARD = loader.WEIGHTS_FOLDER / f"{DEFAULT_DISCRIMINATOR}.md"


def published(channels=3, width=8, strided=3, norm=nn.BatchNorm2d, bias=False):
    """The sequence that pix2pix and taming-transformers build, with every tensor random."""
    widths = [width * min(2**level, 8) for level in range(strided + 1)]
    modules = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for level in range(1, strided + 1):
        stride = 2 if level < strided else 1
        modules.append(nn.Conv2d(widths[level - 1], widths[level], 4, stride, 1, bias=bias))
        modules += [norm(widths[level]), nn.LeakyReLU(0.2)]
    modules.append(nn.Conv2d(widths[-1], 1, 4, 1, 1))
    for module in modules:
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 2)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_()
    return nn.Sequential(*modules).eval()


def saved(path, sequence, prefix, **more):
    tensors = {f"{prefix}{key}": value for key, value in sequence.state_dict().items()}
    torch.save(tensors | more, path)
    return str(path)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def batch():
    return torch.rand(2, 3, 50, 67)


def agree(source, live, batch):
    network, _ = load_discriminator(source)
    assert not network.training
    with torch.inference_mode():
        expected = live(2 * batch - 1)
        torch.testing.assert_close(network(batch), expected, atol=1e-5, rtol=1e-5)
    return network


@pytest.mark.parametrize("prefix", ["model.", "main.", "discriminator.main.", "netD.module.model."])
@pytest.mark.parametrize(
    ("norm", "bias"),
    [(nn.BatchNorm2d, False), (nn.InstanceNorm2d, True), (lambda width: nn.Identity(), False)],
    ids=["batch", "instance", "none"],
)
def test_published_layouts_and_norms(tmp_path, batch, prefix, norm, bias):
    live = published(norm=norm, bias=bias)
    agree(saved(tmp_path / "d.pth", live, prefix), live, batch)


@pytest.mark.parametrize(("strided", "min_side"), [(1, 6), (2, 12), (3, 24), (4, 48)])
def test_depth_and_the_smallest_image(tmp_path, strided, min_side):
    live = published(strided=strided)
    source = saved(tmp_path / "d.pth", live, "model.")
    network = agree(source, live, torch.rand(1, 3, 64, 96))
    assert network.min_side == min_side
    assert network(torch.rand(1, 3, min_side, min_side)).shape == (1, 1, 1, 1)
    with pytest.raises(RuntimeError):
        network(torch.rand(1, 3, min_side, min_side - 1))


def test_a_whole_checkpoint(tmp_path, batch):
    live = published()
    tensors = {f"loss.discriminator.main.{k}": v for k, v in live.state_dict().items()}
    others = {
        "encoder.conv_in.weight": torch.rand(8, 3, 3, 3),
        "loss.perceptual_loss.net.slice1.0.weight": torch.rand(64, 3, 3, 3),
        "loss.perceptual_loss.lin0.model.1.weight": torch.rand(1, 64, 1, 1),
    }
    path = tmp_path / "last.ckpt"
    torch.save({"epoch": 3, "state_dict": others | tensors}, path)
    agree(str(path), live, batch)


@pytest.mark.parametrize(
    "spectral_norm", [nn.utils.spectral_norm, parametrizations.spectral_norm], ids=["old", "new"]
)
def test_spectral_norm_is_worked_in(tmp_path, batch, spectral_norm):
    live = published(norm=lambda width: nn.Identity(), bias=False)
    for layer in live:
        if isinstance(layer, nn.Conv2d):
            spectral_norm(layer)
    live.train()(batch)
    agree(saved(tmp_path / "d.pth", live.eval(), "model."), live, batch)


def test_our_own_layout_has_a_bias_and_no_norm(tmp_path, batch):
    live = build_patch_layers(8)
    path = tmp_path / "d.safetensors"
    save_file({f"model.{key}": value for key, value in live.state_dict().items()}, path)
    network = agree(str(path), live, batch)
    assert not [layer for layer in network.layers if isinstance(layer, nn.InstanceNorm2d)]


def test_a_conditional_discriminator_is_refused(tmp_path):
    source = saved(tmp_path / "latest_net_D.pth", published(channels=6), "model.")
    with pytest.raises(WeightsError, match=r"latest_net_D.pth judges 6 channels, not 3"):
        load_discriminator(source)


def test_what_is_no_patch_discriminator_is_refused(tmp_path):
    def refused(tensors, text):
        path = tmp_path / "file.pth"
        torch.save(tensors, path)
        with pytest.raises(WeightsError, match=text) as raised:
            load_discriminator(str(path))
        assert "Accepted are the packaged" in str(raised.value)

    good = {f"model.{key}": value for key, value in published().state_dict().items()}
    refused({"fc.weight": torch.rand(3, 3)}, "no patch discriminator among its 1 tensors .fc.wei")
    refused(good | {"main.0.weight": torch.rand(8, 3, 4, 4)}, r"more than one \(main., model.\)")
    refused(good | {"model.5.weight": torch.rand(32, 16, 3, 3)}, "no patch discriminator: conv")
    refused(good | {"model.5.weight": torch.rand(32, 9, 4, 4)}, "no patch discriminator: conv")
    actnorm = {key: value for key, value in good.items() if not key.startswith("model.3.")}
    refused(actnorm | {"model.3.loc": torch.rand(1, 16, 1, 1)}, r"module 3 \(loc\) is no BatchNorm")
    with pytest.raises(WeightsError, match="nowhere"):
        load_discriminator(str(tmp_path / "nowhere.pth"))


def test_packaged_weights_are_those_of_the_card():
    network, identity = load_discriminator()
    assert identity.name == f"{DEFAULT_DISCRIMINATOR}.safetensors"
    assert identity.sha256 in CARD.read_text()
    file = Path(loader.WEIGHTS_FOLDER) / identity.name
    assert hashlib.sha256(file.read_bytes()).hexdigest() == identity.sha256
    assert file.stat().st_size < 6e6
    assert network.min_side == 24
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_packaged_d_loss_rises_as_jpeg_quality_falls():
    network, _ = load_discriminator()
    means = {"original": 0.0, 90: 0.0, 70: 0.0, 50: 0.0, 30: 0.0, 10: 0.0}
    photos = list(photographs().values())
    for path in photos:
        original = decode_image(path.read_bytes())
        for quality in means:
            data = None if quality == "original" else CODECS["jpeg"].encode(original, quality)
            pixels = original if data is None else decode_image(data)
            planes = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255
            with torch.inference_mode():
                means[quality] += F.softplus(-network(planes)).mean().item() / len(photos)
    assert list(means.values()) == sorted(means.values())
    assert means["original"] + 0.5 < means[90] + 0.5 < means[30]


def test_packaged_discriminator_s_recorded_losses():
    network, _ = load_discriminator()
    for name, expected in RECORDED.items():
        pixels = decode_image(photographs()[name].read_bytes()).copy()
        planes = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            found = F.softplus(-network(planes)).mean().item()
        assert found == pytest.approx(expected, abs=1e-4)
