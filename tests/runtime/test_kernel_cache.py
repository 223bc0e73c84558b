import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numba
import pytest

from roi_ray.metrics.compiled import rows
from roi_ray.runtime import compiled, kernel_cache
from roi_ray.runtime.compiled import kernel
from roi_ray.runtime.kernel_cache import KernelCache


def add_two(number):
    return number + 2


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """The folder of the cache, in a process that has not warned yet."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(KernelCache, "_has_warned", False)
    return tmp_path


def files(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let this process write files of at most `size` bytes; a full disk fails at the same place."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_kernel_is_loaded_by_the_next_process(cache) -> None:
    kernel(add_two)(1)
    loading = kernel(add_two)  # as another process would
    assert loading(1) == 3
    assert sum(loading.stats.cache_hits.values()) == 1  # type: ignore[attr-defined]


def test_full_disk_costs_one_line_of_log_and_no_number(cache, caplog) -> None:
    with file_size_limit(1000):
        assert (kernel(add_two)(1), kernel(add_two)(1.5)) == (3, 3.5)
    (record,) = caplog.records
    assert "starts are slower, as compiled kernels cannot be kept: [Errno 27]" in record.message
    assert not files(cache)


def test_folder_that_was_removed_is_made_again(cache) -> None:
    late = kernel(add_two)
    (cache / Path(late.stats.cache_path).name).rmdir()  # type: ignore[attr-defined]
    assert late(1) == 3
    assert files(cache)


def test_file_that_cannot_be_read_or_replaced_is_no_error(cache, caplog) -> None:
    kernel(add_two)(1)
    (path,) = files(cache)
    path.unlink()
    path.mkdir()  # permissions would not stop the administrator
    assert kernel(add_two)(1) == 3
    assert len(caplog.records) == 1
    assert not files(cache)


@pytest.mark.parametrize("damage", ["empty", "cut", "altered", "zeros", "another"])
def test_damaged_file_is_compiled_anew(cache, caplog, damage) -> None:
    kernel(add_two)(1)
    (path,) = files(cache)
    content = path.read_bytes()
    damaged = {
        "empty": b"",
        "cut": content[:-100],
        "altered": content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
        "zeros": bytes(len(content)),
        "another": b"\x80\x04N.",
    }
    path.write_bytes(damaged[damage])
    assert kernel(add_two)(1) == 3
    loading = kernel(add_two)
    loading(1)
    assert loading.stats.cache_hits  # type: ignore[attr-defined]
    assert not caplog.records


def test_each_type_of_argument_has_a_file(cache) -> None:
    # Both start before either has compiled, as two processes do.
    for_int, for_float = kernel(add_two), kernel(add_two)
    assert (for_int(1), for_float(1.5)) == (3, 3.5)
    assert len(files(cache)) == 2
    loading = kernel(add_two)
    assert (loading(1), loading(1.5)) == (3, 3.5)
    assert sum(loading.stats.cache_hits.values()) == 2  # type: ignore[attr-defined]


def test_file_of_another_kernel_under_the_same_name_is_not_loaded(cache) -> None:
    store = kernel_cache._Files(cache, "rows.cut")
    store.save("key", "code")
    store._path("key").rename(store._path("other key"))
    assert (store.load("key"), store.load("other key")) == (None, None)


def test_files_of_earlier_versions_are_removed(tmp_path) -> None:
    kept = ["rows.cut_cpu_2.1.nbc", "rows.cut_other_1.1.nbc", "rows.cut.py", "rows.cpython-311.pyc"]
    older = [
        "rows.cut_cpu_1.1.nbc",
        "rows.cut_cpu_1.1.nbc.0123",  # a killed process left it
        "rows.a_kernel_that_is_gone_cpu_1.1.nbc",
        "rows.cut_cpu_1-7.py311.nbi",  # as numba names it
    ]
    for name in (*kept, *older):
        (tmp_path / name).touch()
    kernel_cache._remove_older(tmp_path, "_cpu_", "_cpu_2")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_files_are_of_the_sources_and_the_processor() -> None:
    names = compiled._hash_processor(), compiled._hash_room(Path(rows.__file__))
    rows.cut(100, 0, 1)
    folder = Path(rows.cut.stats.cache_path)
    assert list(folder.glob(f"rows.cut_{'_'.join(names)}.*.nbc"))
