"""A file is looked through before llama.cpp gets it, and a bad one is one clear line."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feldspar.errors import TeacherError
from feldspar.teacher.gguf import read_header

U32, F32, STRING, ARRAY = 4, 6, 8, 9


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def field(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def array(kind: int, count: int, items: bytes) -> bytes:
    return struct.pack("<IQ", kind, count) + items


def gguf(fields: list[bytes], weights: int = 64) -> bytes:
    """A file with one F32 tensor of 16 numbers, 64 bytes; `weights` says how many are there."""
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(fields)) + b"".join(fields)
    head += text("w") + struct.pack("<IQIQ", 1, 16, 0, 0)
    return head + bytes(-len(head) % 32) + bytes(weights)


GOOD = gguf(
    [
        field("general.architecture", STRING, text("llama")),
        field("llama.context_length", U32, struct.pack("<I", 512)),
        field("names", ARRAY, array(STRING, 2, text("a") + text("Ġb"))),
        field("scores", ARRAY, array(F32, 3, struct.pack("<3f", 0.5, 1, 2))),
    ]
)


def written(folder: Path, data: bytes) -> Path:
    path = folder / "m.gguf"
    path.write_bytes(data)
    return path


def test_metadata_is_read(tmp_path: Path) -> None:
    header = read_header(written(tmp_path, GOOD))
    assert header.fields == {
        "general.architecture": "llama",
        "llama.context_length": 512,
        "names": ["a", "Ġb"],
        "scores": [0.5, 1.0, 2.0],
    }
    assert header.tensors == 1


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    for length in range(len(GOOD)):
        with pytest.raises(TeacherError, match=r"cut short|empty|it begins with"):
            read_header(written(tmp_path, GOOD[:length]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_changed_bytes_are_read_or_refused(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for place, value in changes:
        data[place] = value
    refusals: list[TeacherError] = []
    try:
        read_header(written(tmp_path, bytes(data)))
    except TeacherError as error:
        refusals.append(error)
    assert all("m.gguf" in error.what and error.mend for error in refusals)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html>not a model</html>", "it begins with"),
        (b"GGUF" + struct.pack(">I", 3), "version 50331648"),
        (gguf([], weights=63), "tensor 'w' ends at byte"),
        (gguf([field("x", ARRAY, array(STRING, 2**60, b""))]), "cut short"),
        (gguf([field("x", 99, b"")]), "unknown type 99"),
        (gguf([field("general.alignment", U32, struct.pack("<I", 0))]), "alignment"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(TeacherError, match=words):
        read_header(written(tmp_path, data))


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.gguf", tmp_path):
        with pytest.raises(TeacherError, match="directory"):
            read_header(path)
