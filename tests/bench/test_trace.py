import torch

from roi_ray.bench.networks import build_networks
from roi_ray.bench.trace import Laps, ScoringTrace
from roi_ray.imaging.decode import decode_image
from roi_ray.scoring.scorer import Scorer
from tests.conftest import encode


def test_steps_compute_the_numbers_of_the_scorer(photos) -> None:
    pixels = photos["chelsea"]
    reference, distorted = encode(pixels), encode(pixels, "JPEG", quality=30)
    networks = build_networks("packaged").networks
    cpu = torch.device("cpu")
    trace, laps = ScoringTrace(networks, cpu, images=1), Laps(cpu)
    with torch.inference_mode():
        numbers = trace.score(trace.prepare(reference, laps), distorted, laps)
    scorer = Scorer(networks=networks)
    prepared = scorer.prepare(decode_image(reference))
    (scores,) = scorer.score(prepared, [decode_image(distorted)])
    assert numbers == {name: getattr(scores, name) for name in numbers}
    assert {"texture_lost", "roi_d_loss", "lpips"} <= set(numbers)
    assert {"decode", "texture", "numbers", "LPIPS of the reference"} <= set(laps.seconds)
