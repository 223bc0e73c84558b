"""Requests that Schemathesis makes of the OpenAPI document: none meets a defect."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("schemathesis")


@pytest.mark.long
@pytest.mark.skipif(not COMMAND.exists(), reason="needs schemathesis")
def test_no_generated_request_is_a_server_error(service, tmp_path) -> None:
    run = subprocess.run(
        [
            str(COMMAND),
            "run",
            f"{service.base_url}/openapi.json",
            "--checks=not_a_server_error",
            "--max-examples=15",
            "--request-timeout=30",
            "--continue-on-failure",
            "--generation-deterministic",
            "--suppress-health-check=all",
            "--no-color",
        ],
        cwd=tmp_path,  # it writes files
        env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    print(run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "POST /v1/score" in run.stdout or "10 selected" in run.stdout
    shutil.rmtree(tmp_path, ignore_errors=True)
