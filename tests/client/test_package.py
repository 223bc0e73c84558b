"""The public names of roi_ray.client, and what importing it needs."""

import inspect
import subprocess
import sys

import pytest

import roi_ray.client

NAMES = {"AsyncClient", "Client", "ImageResult", "Provenance", "RegionMask"}


def test_exported_names_match_the_list():
    assert set(roi_ray.client.__all__) == NAMES
    assert all(inspect.getdoc(getattr(roi_ray.client, name)) for name in NAMES)


def methods(client):
    """Return the public methods of a client and their parameters."""
    functions = inspect.getmembers(client, inspect.isfunction)
    return {
        name.removeprefix("a") if name == "aclose" else name: inspect.signature(function).parameters
        for name, function in functions
        if not name.startswith("_") or name == "__init__"
    }


def test_both_clients_have_the_same_methods_and_options():
    assert methods(roi_ray.client.Client) == methods(roi_ray.client.AsyncClient)


def test_import_without_httpx_names_the_extra():
    code = "import sys; sys.modules['httpx'] = None; import roi_ray; import roi_ray.client"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last_line = run.stderr.strip().splitlines()[-1]
    assert last_line == (
        "ImportError: roi_ray.client needs httpx, which the extra `client` installs: "
        "pip install 'roi-ray[client]'"
    )


@pytest.mark.parametrize("name", sorted(NAMES - {"AsyncClient", "Client"}))
def test_results_are_immutable(name):
    assert getattr(roi_ray.client, name).__dataclass_params__.frozen
