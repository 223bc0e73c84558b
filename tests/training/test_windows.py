import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import ManifestError
from roi_ray.io.manifest import read_manifest
from roi_ray.training.windows import hash_image_files, read_originals
from tests.conftest import encode, write


def sweep(folder, photos, quality):
    """Write a sweep whose rows spell their reference in two ways; return its originals."""
    x = photos["coffee"][:64, :64]
    write(folder / "x.png", encode(x))
    for number in (1, 2):
        write(folder / f"{number}.jpg", encode(x, "JPEG", quality=quality + number))
    rows = {"reference": ["x.png", "./x.png"], "distorted": ["1.jpg", "2.jpg"]}
    pq.write_table(pa.table(rows), folder / "m.parquet")
    return read_originals(read_manifest(str(folder / "m.parquet")))


def test_two_spellings_of_a_reference_are_one_original(tmp_path, photos):
    (original,) = sweep(tmp_path, photos, 10)
    assert (original.name, original.uri) == ("x.png", str(tmp_path / "x.png"))
    assert [decoded.uri for decoded in original.decoded] == [
        str(tmp_path / "1.jpg"),
        str(tmp_path / "2.jpg"),
    ]


def test_hash_changes_with_the_files_paths_and_sizes(tmp_path, photos):
    first = hash_image_files(sweep(tmp_path / "a", photos, 10))
    assert hash_image_files(sweep(tmp_path / "a", photos, 10)) == first
    assert hash_image_files(sweep(tmp_path / "b", photos, 10)) != first
    assert hash_image_files(sweep(tmp_path / "a", photos, 90)) != first  # overwritten


def test_codec_and_bpp_of_other_types_are_converted_or_a_manifest_error(tmp_path):
    def originals(**facts):
        rows = {"reference": ["x.png"], "distorted": ["1.jpg"], **facts}
        pq.write_table(pa.table(rows), tmp_path / "m.parquet")
        return read_originals(read_manifest(str(tmp_path / "m.parquet")))

    (original,) = originals(codec=[264], quality=["slow"], bpp=[1])
    (decoded,) = original.decoded
    assert (decoded.codec, decoded.bpp) == ("264", 1)
    with pytest.raises(ManifestError, match="'bpp' of 1.jpg is not a number: 'high'"):
        originals(bpp=["high"])
