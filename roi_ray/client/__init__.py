"""Ask a scoring service of `roi-ray serve`; needs httpx, which the extra `client` installs.

Importing this package loads neither numpy nor torch nor Ray. `README.md` in this folder has
examples, and the same requests for curl.
"""

try:
    import httpx as _httpx  # noqa: F401
except ImportError as _error:
    raise ImportError(
        "roi_ray.client needs httpx, which the extra `client` installs: "
        "pip install 'roi-ray[client]'"
    ) from _error

from roi_ray.client.async_client import AsyncClient
from roi_ray.client.results import ImageResult, Provenance, RegionMask
from roi_ray.client.sync_client import Client

__all__ = ["AsyncClient", "Client", "ImageResult", "Provenance", "RegionMask"]
