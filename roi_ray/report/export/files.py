"""Write the files of an export, and never over a file that is not the same export."""

from collections.abc import Mapping

from roi_ray.errors import UsageError
from roi_ray.io import storage

Content = bytes | memoryview


def check_output(output: str, scores: str) -> str:
    """Check where an export is to be written to, before there is something to write.

    Args:
        output: folder or `s3://` prefix.
        scores: URI of the scores.

    Returns:
        URI of the folder.

    Raises:
        UsageError: it is a file, or in the folder of the scores, whose readers would take the
            files of the export for scores.
    """
    folder = storage.absolute(output)
    if storage.is_file(folder):
        raise UsageError(
            f"--output {output} is a file: name a folder, because an export has several files"
        )
    inside = folder.rstrip("/") + "/"
    if inside.startswith(storage.absolute(scores).rstrip("/") + "/"):
        raise UsageError(
            f"--output {output} is in the folder of the scores, which would then have tables of "
            "two kinds: name a folder elsewhere"
        )
    return folder


def write_files(folder: str, files: Mapping[str, Content]) -> list[str]:
    """Write files to a folder. Files that are there with the same content are left as they are.

    Args:
        folder: URI of the folder.
        files: content of each file by its name.

    Returns:
        URIs of all files.

    Raises:
        UsageError: one of the files exists with other content, or is a folder. Nothing is written.
        StorageError: the folder cannot be written to.
    """
    uris = {storage.join(folder, name): data for name, data in files.items()}
    new = [uri for uri, data in uris.items() if not _is_written(uri, data)]
    for uri in new:
        storage.write_bytes(uri, uris[uri])
    return list(uris)


def _is_written(uri: str, data: Content) -> bool:
    """Return whether a file exists with this content."""
    if storage.is_folder(uri):
        raise UsageError(f"{uri} is a folder: name another --output")
    if not storage.is_file(uri):
        return False
    if storage.file_size(uri) == len(data) and storage.read_bytes(uri) == data:
        return True
    raise UsageError(f"{uri} exists with other content: name another --output, or delete it first")
