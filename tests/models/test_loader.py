import hashlib
import os
import pickle

import pytest
import torch
from safetensors.torch import save

from roi_ray.errors import StorageError, WeightsError
from roi_ray.models import loader

TENSORS = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.zeros(2)}


def test_safetensors_and_pickled_files_give_the_same_tensors(tmp_path) -> None:
    (tmp_path / "w.safetensors").write_bytes(save(TENSORS))
    torch.save(TENSORS, tmp_path / "w.pth")
    torch.save({"state_dict": TENSORS, "epoch": 3}, tmp_path / "checkpoint.ckpt")
    for name in ("w.safetensors", "w.pth", "checkpoint.ckpt"):
        weights = loader.load_weights(str(tmp_path / name))
        assert weights.name == name
        assert weights.sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        assert weights.tensors.keys() == TENSORS.keys()
        assert all(torch.equal(weights.tensors[key], TENSORS[key]) for key in TENSORS)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


@pytest.mark.parametrize("write", ["torch", "pickle"])
def test_pickled_code_is_not_run(tmp_path, monkeypatch, write) -> None:
    monkeypatch.chdir(tmp_path)
    if write == "torch":
        torch.save({"x": Evil()}, "evil.pth")
    else:
        with open("evil.pth", "wb") as stream:
            pickle.dump(Evil(), stream, protocol=2)  # the protocol that torch uses
    with pytest.raises(WeightsError, match=r"evil.pth is not a file of plain tensors"):
        loader.load_weights("evil.pth")
    assert not os.path.exists("pwned")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"garbage" * 100])
def test_garbage_is_a_weights_error(tmp_path, name, content) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=name):
        loader.load_weights(str(tmp_path / name))


def test_missing_file_and_file_without_tensors_are_weights_errors(tmp_path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        loader.load_weights(str(tmp_path / "w.pth"))
    torch.save({}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="holds no tensors"):
        loader.load_weights(str(tmp_path / "w.pth"))
    torch.save([1, 2], tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="no state dict"):
        loader.load_weights(str(tmp_path / "w.pth"))


@pytest.fixture
def published(tmp_path):
    """URL of a file whose name contains its hash, like torchvision's."""
    torch.save(TENSORS, tmp_path / "w.pth")
    data = (tmp_path / "w.pth").read_bytes()
    name = f"net-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / name).write_bytes(data)
    return (tmp_path / "server" / name).as_uri()


def test_backbone_is_downloaded_once_and_checked_on_each_load(
    tmp_path, monkeypatch, published
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    weights = loader.load_torchvision_backbone(published, None)
    assert weights.tensors.keys() == TENSORS.keys()
    cached = tmp_path / "hub" / "checkpoints" / published.split("/")[-1]
    assert cached.is_file()
    (tmp_path / "server" / cached.name).unlink()
    assert loader.load_torchvision_backbone(published, None).sha256 == weights.sha256
    cached.write_bytes(save(TENSORS))
    with pytest.raises(WeightsError, match="plain tensors|not the file that its name claims"):
        loader.load_torchvision_backbone(published, None)


def test_backbone_in_a_folder_is_checked(tmp_path, monkeypatch, published) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    folder = str(tmp_path / "server")
    assert loader.load_torchvision_backbone(published, folder).tensors.keys() == TENSORS.keys()
    other = tmp_path / "server" / published.split("/")[-1]
    torch.save({"other": torch.ones(1)}, other)
    with pytest.raises(WeightsError, match="not the file that its name claims"):
        loader.load_torchvision_backbone(published, folder)


def test_download_with_another_hash_is_deleted_and_a_weights_error(
    tmp_path, monkeypatch, published
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    (tmp_path / "server" / published.split("/")[-1]).write_bytes(b"a proxy's login page")
    with pytest.raises(WeightsError, match=r"cannot be downloaded \(invalid hash value"):
        loader.load_torchvision_backbone(published, None)
    assert not list((tmp_path / "hub" / "checkpoints").iterdir())


def test_failed_download_names_the_folders_and_the_option(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    url = (tmp_path / "net-12345678.pth").as_uri()
    with pytest.raises(WeightsError, match=r"net-12345678.pth is in none of .*--weights-dir"):
        loader.load_torchvision_backbone(url, None)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("zipped", [True, False])
def test_error_names_the_damaged_file(tmp_path, rng, zipped) -> None:
    torch.save(TENSORS, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    whole = (tmp_path / "w.pth").read_bytes()
    messages = []
    for length in rng.integers(1, len(whole), 300):
        damaged = bytearray(whole if length % 2 else whole[:length])
        for position in rng.integers(0, len(damaged), 3):
            damaged[position] = rng.integers(0, 256)
        (tmp_path / "w.pth").write_bytes(damaged)
        try:
            loader.load_weights(str(tmp_path / "w.pth"))
        except WeightsError as error:
            messages.append(str(error))
    assert len(messages) > 20
    assert all("w.pth is not a file of plain tensors: " in text for text in messages)


def test_check_weights_output_refuses_unwritable_folders_and_other_suffixes(tmp_path) -> None:
    loader.check_weights_output(str(tmp_path / "new" / "n.safetensors"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot write"):
        loader.check_weights_output(str(tmp_path / "file" / "n.safetensors"))
    with pytest.raises(WeightsError, match=r"n.pth does not end in .safetensors"):
        loader.check_weights_output("n.pth")
    with pytest.raises(StorageError, match="only local paths and s3://"):
        loader.check_weights_output("gcs://models/n.safetensors")


@pytest.mark.parametrize(
    "path", sorted(loader.WEIGHTS_FOLDER.glob("*.safetensors")), ids=lambda path: path.stem
)
def test_packaged_file_has_a_model_card(path) -> None:
    card = path.with_suffix(".md").read_text()
    assert f"| SHA-256 | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |" in card
    assert f"{path.stat().st_size:,} bytes" in card
    # LPIPS' backbone is torchvision's; all other weights are the project's own.
    licence = "BSD-3-Clause" if path.stem == "lpips-alexnet" else "Apache-2.0"
    assert f"| Licence | {licence} |" in card
    for section in ("Limits", "Training data", "Training", "Results"):
        assert f"\n## {section}\n" in card
    assert f"({path.stem}.md)" in (loader.WEIGHTS_FOLDER / "README.md").read_text()
