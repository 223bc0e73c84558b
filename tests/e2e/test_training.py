"""Training of the discriminator as a job that is killed and started again."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from roi_ray.imaging.decode import decode_image
from roi_ray.io.manifest import read_manifest
from roi_ray.models.discriminator import load_discriminator
from roi_ray.training.discriminator import DiscriminatorTraining, to_safetensors_state
from roi_ray.training.recipes import DiscriminatorRecipe
from roi_ray.training.split import file_stem, split_held_out
from roi_ray.training.windows import read_originals
from tests.conftest import Photos, make_sweep_of

pytestmark = pytest.mark.e2e

STEPS = 6


@pytest.mark.long
def test_killed_training_resumes_ends_with_the_same_weights_and_reports_them(
    tmp_path: Path, photos: Photos
) -> None:
    manifest = make_sweep_of(photos, tmp_path / "sweep", side=130)
    output = tmp_path / "d.safetensors"
    script = Path(__file__).parents[2] / "jobs" / "train_discriminator.py"
    command = [sys.executable, str(script), "--manifest", manifest, "--output", str(output)]
    command += ["--steps", str(STEPS), "--batch", "2", "--held-out", "2", "--every", "1"]
    command += ["--runs", str(tmp_path / "runs")]
    log = tmp_path / "log"
    with open(log, "w") as stream:
        job = subprocess.Popen(command, stdout=stream, start_new_session=True)
    deadline = time.monotonic() + 240
    # A checkpoint follows each step: once a step is printed, the one before it has a checkpoint.
    while "step 3/" not in log.read_text():
        assert job.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    assert not output.exists()

    again = subprocess.run(
        [*command, "--workers", "2"], capture_output=True, text=True, timeout=240, check=False
    )
    assert again.returncode == 0, again.stderr
    (resumed,) = re.findall(r"resumes from step (\d+)", again.stdout)
    # On a busy machine, the job may have ended its last step before it was killed.
    assert int(resumed) == STEPS or f"step {STEPS}/{STEPS}" in again.stdout
    assert "step 1/" not in again.stdout
    assert "4 references to train on, 2 held out" in again.stdout
    assert re.search(r"jpeg +[01]\.\d+", again.stdout)
    assert re.search(r"mean d_loss: original \d\.\d+", again.stdout)
    assert re.search(r"avif: q85 \S+ .* q12 \S+", again.stdout)
    picture = decode_image((tmp_path / "d.png").read_bytes())
    assert picture.std() > 10

    originals = {original.name: original for original in read_originals(read_manifest(manifest))}
    training, _ = split_held_out(originals, 2, key=file_stem)
    uninterrupted = DiscriminatorTraining(
        [originals[name] for name in training], DiscriminatorRecipe(steps=STEPS, batch_size=2)
    )
    for number in range(STEPS):
        uninterrupted.step(number)
    _, weights = load_discriminator(str(output))
    assert weights.sha256 in again.stdout
    for name, expected in to_safetensors_state(uninterrupted.state()).items():
        torch.testing.assert_close(
            weights.tensors[name].float(), expected.float(), atol=2e-3, rtol=1e-2
        )
