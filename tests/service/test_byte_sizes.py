import pytest

from roi_ray.errors import UsageError
from roi_ray.service.byte_sizes import parse_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("268435456", 1 << 28),
        ("256MiB", 1 << 28),
        ("256 mib", 1 << 28),
        ("1GB", 10**9),
        ("0.5KiB", 512),
        (" 3 B ", 3),
    ],
)
def test_sizes_with_and_without_units(text, size) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["", "MiB", "3Q", "-1", "1e6", "0", "0.1", "1 M i B", "٣", "9" * 400]
)
def test_what_is_no_size_is_a_usage_error_that_names_it(text) -> None:
    with pytest.raises(UsageError, match="size in bytes|below one byte"):
        parse_bytes(text)
