"""Files of references, kept by bytes."""

from dataclasses import replace

from roi_ray.service.worker.reference_store import ReferenceStore
from tests.service.files import make_file


def test_least_recently_used_references_are_dropped_by_bytes() -> None:
    store = ReferenceStore(100)
    a, b, c = (make_file(bytes([number]) * 40) for number in range(3))
    assert store.put(a)
    assert store.put(b)
    assert not store.put(a)  # known, and used now
    assert store.put(c)
    assert [store.size(file.sha256) for file in (a, b, c)] == [40, None, 40]
    assert (len(store), store.nbytes) == (2, 80)
    assert store.get(a.sha256) == replace(a, name=f"sha256:{a.sha256}")
    assert store.put(make_file(bytes(50)))
    assert store.get(c.sha256) is None
    assert store.size(a.sha256) == 40


def test_reference_that_never_fits_drops_no_other() -> None:
    store = ReferenceStore(100)
    small, large = make_file(b"small"), make_file(bytes(101))
    store.put(small)
    store.put(large)
    assert store.size(small.sha256) == 5
    assert store.get(large.sha256) is None
    assert store.nbytes == 5
