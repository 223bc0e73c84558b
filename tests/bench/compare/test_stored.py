import json
import re

import pytest

from roi_ray.bench.compare.stored import StoredRun, read_stored_run
from roi_ray.errors import UsageError

RUN = {
    "source": {"commit": "0123", "dirty": True},
    "growth": [
        {
            "width": 64,
            "height": 32,
            "per_reference": 8,
            "timing": {"seconds": [3.0, 1.0, 2.0], "pairs": 10},
        }
    ],
    "fit": None,
}


def test_stored_run_names_its_commit_and_its_speed(tmp_path) -> None:
    file = tmp_path / "bench.json"
    file.write_text(json.dumps(RUN))
    run = read_stored_run(file)
    assert run == StoredRun("0123", True, run.summary)
    assert run.summary == {"source": RUN["source"], "ms_per_pair": {"64 x 32, K = 8": 200.0}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        json.dumps(RUN)[:-9],
        "[]",
        "{}",
        '{"source": "x"}',
        '{"steps": [], "growth": [{}]}',
        json.dumps(RUN).replace("10}", "0}"),
    ],
)
def test_other_file_is_refused_in_one_line(tmp_path, text) -> None:
    file = tmp_path / "bench.json"
    file.write_text(text)
    expected = re.escape(f"{file} is not the bench.json of a run: ") + "[^\n]+$"
    with pytest.raises(UsageError, match=expected):
        read_stored_run(file)


def test_missing_file_is_refused(tmp_path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_stored_run(tmp_path / "bench.json")
