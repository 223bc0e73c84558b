import hashlib

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from roi_ray.errors import WeightsError
from roi_ray.imaging.decode import decode_image
from roi_ray.models import loader
from roi_ray.models.lite0 import ConvUnit, Lite0Saliency, fold_batch_norms
from roi_ray.models.saliency import Saliency, load_saliency
from roi_ray.models.u2net import U2NET, U2NETP, U2Net
from roi_ray.settings import DEFAULT_SALIENCY
from roi_ray.sweep import photographs

CARD = loader.WEIGHTS_FOLDER / f"{DEFAULT_SALIENCY}.md"


def photograph(name):
    pixels = decode_image(photographs()[name].read_bytes()).copy()
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255


def mask(name):
    network, _ = load_saliency()
    with torch.inference_mode():
        return torch.sigmoid(network(photograph(name)))[0, 0]


def randomize_batch_norms(network):
    """Replace the initial statistics, which would hide mistakes, by random ones."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.8, 1.2)
            module.bias.data.normal_(0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    return network.eval()


@pytest.mark.parametrize(("widths", "count"), [(U2NET, 44_009_869), (U2NETP, 1_131_181)])
def test_u2net_has_the_published_number_of_parameters(widths, count):
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in U2Net(widths).parameters()) == count


def test_u2netp_checkpoint_loads_with_equal_logits(tmp_path):
    live = randomize_batch_norms(U2Net(U2NETP))
    path = tmp_path / "u2netp.pth"
    torch.save(live.state_dict(), path)
    network, identity = load_saliency(str(path))
    assert (identity.name, identity.sha256) == (
        "u2netp.pth",
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    image = photograph("chelsea")[..., :300, :200] * 0.8
    # The published preprocessing, step by step.
    x = F.interpolate(image, size=(320, 320), mode="bilinear", antialias=True)
    x = x / x.max()
    x = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    with torch.inference_mode():
        expected = F.interpolate(live(x), size=(300, 200), mode="bilinear")
        torch.testing.assert_close(network(image), expected, atol=1e-5, rtol=1e-5)
        assert torch.isfinite(network(torch.zeros(1, 3, 40, 40))).all()


def test_u2net_checkpoint_loads_the_large_network(tmp_path):
    path = tmp_path / "u2net.pth"
    torch.save(U2Net(U2NET).state_dict(), path)
    network, _ = load_saliency(str(path))
    assert network.network.get_parameter("stage6.rebnconvin.conv_s1.weight").shape[:2] == (512, 512)


def test_other_networks_and_missing_files_are_weights_errors(tmp_path):
    def check_refused(tensors, text):
        path = tmp_path / "file.pth"
        torch.save(tensors, path)
        with pytest.raises(WeightsError, match=text):
            load_saliency(str(path))

    check_refused(
        {"fc.weight": torch.rand(2, 3)}, r"1 tensors \(fc.weight \(2, 3\), ...\). Accepted are"
    )
    u2netp = U2Net(U2NETP).state_dict()
    check_refused(
        {k: v for k, v in u2netp.items() if "side6" not in k}, r"Missing key.*side6.weight"
    )
    u2netp["stage1.rebnconvin.conv_s1.weight"] = torch.rand(64, 4, 3, 3)
    check_refused(u2netp, "not a known saliency network")
    with pytest.raises(WeightsError, match="nowhere"):
        load_saliency(str(tmp_path / "nowhere.pth"))


def test_folded_network_gives_the_same_logits():
    network = randomize_batch_norms(Lite0Saliency())
    folded = Lite0Saliency(folded=True).eval()
    folded.load_state_dict(fold_batch_norms(network))
    assert not [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)]
    x = torch.rand(1, 3, 96, 64) * 2 - 1
    with torch.inference_mode():
        assert network(x).shape == (1, 1, 48, 32)
        torch.testing.assert_close(folded(x), network(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_stride_2_pads_as_tensorflow_does(kernel_size):
    unit = ConvUnit(1, 1, kernel_size=kernel_size, stride=2, activation=False, folded=True)
    nn.init.constant_(unit.conv.weight, 1)
    nn.init.zeros_(unit.conv.bias)
    # With TensorFlow's padding, only one window covers the first corner.
    x = torch.zeros(1, 1, 8, 8)
    x[..., 0, 0] = 1
    assert unit(x).sum() == 1
    x = torch.ones(1, 1, 8, 8)
    assert unit(x).shape == (1, 1, 4, 4)
    assert unit(x)[0, 0, -1, -1] == (kernel_size // 2 + 1) ** 2


def test_logits_have_the_size_of_the_image():
    class Mean(nn.Module):
        def forward(self, x):
            assert x.shape[-2:] == (16, 16)
            return x.mean(1, keepdim=True)[..., ::2, ::2]

    network = Saliency(Mean(), 16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert network(torch.rand(2, 3, 33, 70)).shape == (2, 1, 33, 70)
    torch.testing.assert_close(
        network(torch.full((1, 3, 20, 9), 0.75)), torch.full((1, 1, 20, 9), 0.5)
    )


def test_packaged_weights_match_the_model_card():
    network, identity = load_saliency()
    assert identity.name == f"{DEFAULT_SALIENCY}.safetensors"
    assert identity.sha256 in CARD.read_text()
    file = loader.WEIGHTS_FOLDER / identity.name
    assert hashlib.sha256(file.read_bytes()).hexdigest() == identity.sha256
    assert file.stat().st_size <= 12e6
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_packaged_weights_load_from_a_path(tmp_path):
    path = tmp_path / "mine.safetensors"
    save_file(loader.load_packaged(DEFAULT_SALIENCY).tensors, path)
    network, _ = load_saliency(str(path))
    image = photograph("chelsea")
    with torch.inference_mode():
        assert torch.equal(network(image), load_saliency()[0](image))


def test_packaged_mask_is_high_on_the_subject_and_low_in_the_corner():
    astronaut = mask("astronaut")
    face, corner = astronaut[70:170, 180:270], astronaut[:60, -60:]
    assert face.mean() > 0.7
    assert corner.mean() < 0.3
    coffee = mask("coffee")
    assert coffee[100:300, 200:400].mean() > coffee[:40, :40].mean() + 0.5


@pytest.mark.parametrize(
    ("name", "mean", "points"),
    [
        ("astronaut", 0.537882, (0.997371, 0.994903, 0.966876, 0.000054)),
        ("chelsea", 0.707622, (0.980130, 0.988559, 0.973725, 0.000754)),
        ("hubble_deep_field", 0.000015, (0.000014, 0.000046, 0.000006, 0.000003)),
        ("motorcycle_left", 0.315272, (0.097230, 0.930649, 0.009592, 0.000079)),
    ],
)
def test_packaged_network_gives_the_recorded_masks(name, mean, points):
    result = mask(name)
    height, width = result.shape
    places = ((0.25, 0.45), (0.5, 0.5), (0.8, 0.6), (0.05, 0.95))
    values = [result[int(height * y), int(width * x)].item() for y, x in places]
    assert result.mean().item() == pytest.approx(mean, abs=1e-4)
    assert values == pytest.approx(points, abs=1e-4)


def test_logits_do_not_depend_on_the_batch():
    network, _ = load_saliency()
    batch = torch.cat([photograph("astronaut"), photograph("astronaut").flip(-1)])
    with torch.inference_mode():
        together, alone = network(batch), network(batch[1:])
    torch.testing.assert_close(together[1:], alone, atol=1e-4, rtol=1e-4)
