"""What the operator sees and does."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from roi_ray.errors import UsageError
from roi_ray.io.parquet_files import encode_table
from roi_ray.votes.http.cookies import admin_cookie
from roi_ray.votes.http.forms import read_form
from roi_ray.votes.http.operators import SESSION_SECONDS, Operators
from roi_ray.votes.http.pages import Pages
from roi_ray.votes.http.processes import Processes
from roi_ray.votes.http.rates import RateLimiter, name_client
from roi_ray.votes.http.site import Site
from roi_ray.votes.http.writer import Writer
from roi_ray.votes.study import Study
from roi_ray.web.error_answers import request_failed
from roi_ray.web.exchange import header_values
from roi_ray.web.json_answers import json_response
