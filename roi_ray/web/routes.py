"""The paths of an app."""

from starlette.requests import Request
from starlette.routing import Match, Route


def list_methods(request: Request) -> list[str]:
    """List the methods that the path of a request takes."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    matching = [route for route in routes if route.matches(request.scope)[0] != Match.NONE]
    return sorted({method for route in matching for method in route.methods or ()})
