"""The files that are sent to the service."""

import torch
from PIL import Image

from roi_ray.bench.service.scorer import BareScorer
from roi_ray.bench.service.workload import make_files, read_files, write_files
from roi_ray.scoring.score import score
from roi_ray.sweep import photographs


def test_images_are_jpeg_webp_and_png_and_have_their_scores(tmp_path) -> None:
    photos = list(photographs().values())[:2]
    files = make_files(photos, tmp_path / "files", (96, 80), 3)
    formats = []
    for image in files[1].images:
        with Image.open(image.path) as opened:
            formats.append(opened.format)
            assert opened.size == (80, 96)
    assert formats == ["JPEG", "WEBP", "PNG"]
    with BareScorer(torch.get_num_threads()) as scorer:
        scored = scorer.add_scores(files)
        turn = scorer.measure(files)
    assert (len(turn.reference_seconds), len(turn.pair_seconds)) == (2, 6)
    assert turn.pairs_per_s > 0
    write_files(scored, tmp_path / "files.json")
    reference = read_files(tmp_path / "files.json")[1]
    # The numbers survive JSON. One call per image: small images of a list are scored together.
    for image in reference.images:
        assert image.scores == score(reference.path, image.path, device="cpu").to_dict()
