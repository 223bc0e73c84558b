"""Imports between rooms go down."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "roi_ray"
FLOORS = (
    {"errors", "schema", "settings"},
    {"io"},
    {"imaging"},
    {"runtime"},
    {"metrics", "web"},
    {"models"},
    {"scoring"},
    {"pipeline"},
    {"sweep", "preference", "verification"},
    {"client", "datasets", "decision", "service", "training", "votes"},
    {"bench", "report"},
    {"cli"},
)
"""Floors, lowest first. Rooms of a floor do not import each other, except `report` from `bench`."""
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
ROOMS = sorted({path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()})


def imported_rooms(path: Path) -> set[str]:
    """Return the rooms that a module imports, in functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    parts = [name.split(".") for name in names if name.startswith("roi_ray.")]
    return {part[1] for part in parts if part[1] in FLOOR}


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_rooms_below_them(room) -> None:
    assert room in FLOOR
    for path in (PACKAGE / room).rglob("*.py"):
        for other in imported_rooms(path) - {room}:
            allowed = FLOOR[other] < FLOOR[room] or (room, other) == ("report", "bench")
            assert allowed, f"{path.relative_to(PACKAGE)} imports {other}"
