"""How commands are found, and what they get: programs, environment, folder, versions."""

import hashlib
import os
import pickle
import resource
from pathlib import Path

import numpy as np
import pytest

from roi_ray.errors import CodecError
from roi_ray.sweep.external import make_external_codec
from roi_ray.sweep.source import SourceImage

IMAGE = SourceImage(np.full((16, 16, 3), 90, np.uint8))


@pytest.fixture
def script(tmp_path):
    """A function that makes a program, and returns a table that encodes by it."""

    def make(text, name="encoder", mode=0o755, **changes):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(mode)
        command = [str(path), "{in}", "{out}", "{quality}"]
        return {"encode": command, "suffix": ".png", "decode": command[:3], **changes}

    return make


def encode(table, quality=50):
    return make_external_codec("mine", table).encode(IMAGE, quality)


def test_missing_program_says_where_it_was_looked_for(monkeypatch):
    table = {"encode": ["no-such-encoder", "{in}", "{out}", "{quality}"], "suffix": ".x"}
    monkeypatch.setenv("PATH", "/usr/bin:/nowhere")
    message = (
        r"^`no-such-encoder input.png output.x 50` could not be started: no-such-encoder was "
        r"not found on .* \(PATH is /usr/bin:/nowhere\); install it, .* `resource` of "
        r"\[codecs.mine\]"
    )
    with pytest.raises(CodecError, match=message):
        encode(table)
    with pytest.raises(CodecError, match="was not found"):
        make_external_codec("mine", table).version()
    table["encode"][0] = "/no/such/encoder"
    with pytest.raises(CodecError, match="/no/such/encoder was not found .*there is no such file"):
        encode(table)


def test_program_that_cannot_be_executed_says_why(script, tmp_path, monkeypatch):
    with pytest.raises(CodecError, match=r"encoder is not executable \(chmod \+x\)"):
        encode(script("#!/bin/sh\n", mode=0o644))
    monkeypatch.setenv("PATH", str(tmp_path))
    table = script("#!/bin/sh\n", mode=0o644)
    table["encode"][0] = "encoder"
    with pytest.raises(CodecError, match=r"encoder is not executable \(chmod \+x\)"):
        encode(table)
    with pytest.raises(
        CodecError, match="Exec format error: .*; it is no program for this machine"
    ):
        encode(script("no first line"))
    with pytest.raises(CodecError, match="the interpreter that its first line names does not"):
        encode(script("#!/no/such/interpreter\n"))


def test_environment_is_only_what_is_passed_on(script, monkeypatch):
    monkeypatch.setenv("SECRET", "1")
    monkeypatch.setenv("PASSED", "two words")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    table = script(
        '#!/bin/sh\nenv > "$2"; pwd >> "$2"',
        environment={"EXPLICIT": "3", "LC_ALL": "C.UTF-8"},
        pass_environment=["PASSED", "NOT_SET"],
    )
    *lines, folder = encode(table).data.decode().splitlines()
    variables = dict(line.split("=", 1) for line in lines)
    for name in ("PWD", "OLDPWD", "SHLVL", "_"):  # set by the shell
        variables.pop(name, None)
    assert variables == {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "HOME": folder,
        "TMPDIR": folder,
        "ROI_RAY_FOLDER": folder,
        "PASSED": "two words",
        "EXPLICIT": "3",
    }


def test_arguments_are_passed_as_they_are_without_a_shell(script):
    table = script('#!/bin/sh\nout=$2; printf "%s\\n" "$@" > "$out"; pwd > /dev/null; ls >> "$out"')
    table["encode"] += ["$HOME `x` *", '{"json": 1}', "-q={quality}"]
    lines = encode(table, 12.5).data.decode().splitlines()
    quoted = ["$HOME `x` *", '{"json": 1}', "-q=12.5"]
    assert lines[:6] == ["input.png", "output.png", "12.5", *quoted]
    assert lines[6:] == ["input.png", "output.png"]  # the folder has nothing else
    assert encode(table, 50.0).data.decode().splitlines()[2] == "50"
    assert encode(table, 0.1 + 0.2).data.decode().splitlines()[2] == "0.3"
    assert encode(table, 1e-5).data.decode().splitlines()[2] == "0.00001"


def test_version_is_what_the_command_prints_or_the_hash_of_the_program(script):
    table = script("#!/bin/sh\n[ $# = 1 ] && printf '\\n\\n v1.2  [AVX2]\\nmore\\n'")
    table["version"] = [table["encode"][0], "--version"]
    assert make_external_codec("mine", table).version() == "encoder: v1.2 [AVX2]"
    del table["version"]
    digest = hashlib.sha256(Path(table["encode"][0]).read_bytes()).hexdigest()
    codec = make_external_codec("mine", table)
    assert codec.version() == f"encoder (SHA-256 {digest[:16]})"


def test_version_command_that_fails_or_prints_nothing_is_an_error(script):
    table = script("#!/bin/sh\n", version=["false"])
    with pytest.raises(CodecError, match="^`false` failed with exit code 1"):
        make_external_codec("mine", table).version()
    with pytest.raises(CodecError, match="`true` printed no version"):
        make_external_codec("mine", table | {"version": ["true"]}).version()


def test_decoder_that_writes_no_image_of_its_format_is_an_error(script):
    codec = make_external_codec("mine", script('#!/bin/sh\ncp "$1" "$2"'))
    png = IMAGE.file("png", 8)
    assert codec.decode(png).data == png
    message = "^`.*/encoder input.png output.png` wrote output.png, which cannot be read: "
    with pytest.raises(CodecError, match=message + "not an image of a known format"):
        codec.decode(b"rubbish")
    with pytest.raises(CodecError, match=message + "it is a file of the format PPM"):
        codec.decode(IMAGE.file("ppm", 8))


def test_codec_can_be_pickled(script):
    codec = make_external_codec("mine", script('#!/bin/sh\ncp "$1" "$2"'))
    copy = pickle.loads(pickle.dumps(codec))
    assert copy == codec and copy.encode(IMAGE, 1).data == IMAGE.file("png", 8)


def test_time_of_the_launcher_is_reported_apart(script):
    # Else it would seem to be other work: it is more than that of a quick encoder.
    def children():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    table = script('#!/bin/sh\ncp "$1" "$2"')
    encode(table)
    before = children()
    encoded = encode(table)
    total = children() - before
    assert encoded.seconds > 0 and encoded.launcher_seconds > 0
    assert encoded.seconds + encoded.launcher_seconds == pytest.approx(total, rel=0.25, abs=0.02)
