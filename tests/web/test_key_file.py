import pytest

from roi_ray.errors import UsageError
from roi_ray.web.key_file import read_key_file
from roi_ray.web.keys import hash_key
from tests.conftest import write

A, B = hash_key("a key"), hash_key("another key")


def test_hashes_are_read_with_names_comments_and_what_sha256sum_prints(tmp_path) -> None:
    text = f"# keys\n\n{A}  -\n  {B.upper()} nightly job # since May\n{A} again\n"
    assert read_key_file(write(tmp_path / "keys", text.encode())) == (A, B)


def test_a_line_that_is_no_hash_is_named_by_its_number_and_not_shown(tmp_path) -> None:
    path = write(tmp_path / "keys", f"{A}\nmy-secret-key\n".encode())
    with pytest.raises(UsageError, match=f"{path}, line 2: ") as error:
        read_key_file(path)
    assert "my-secret-key" not in str(error.value)


@pytest.mark.parametrize("data", [b"", b"# nothing\n \n"])
def test_a_file_without_keys_is_refused(tmp_path, data) -> None:
    with pytest.raises(UsageError, match="names no key"):
        read_key_file(write(tmp_path / "keys", data))


def test_a_file_that_cannot_be_read_is_refused(tmp_path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_key_file(str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="not a text file"):
        read_key_file(write(tmp_path / "image", b"\xff\xd8\xff\xe0"))
