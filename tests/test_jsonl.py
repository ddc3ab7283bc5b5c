from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feldspar import jsonl
from feldspar.errors import RunError
from feldspar.types import Checkpoint, Draft, Message, Origin, Passage, Sample, Verdict

TEXT = st.text(st.characters(codec=None), max_size=20)
PASSAGES = st.builds(Passage, TEXT, st.lists(TEXT, max_size=2).map(tuple), TEXT, st.integers(), st.integers())
DRAFTS = st.builds(
    Draft,
    id=TEXT,
    leaf=TEXT,
    draw=st.integers(1, 10**12),
    response=TEXT,
    passage=st.none() | PASSAGES,
    seeds=st.lists(st.integers(), max_size=3).map(tuple),
    verdicts=st.lists(
        st.builds(Verdict, TEXT, st.booleans(), st.none() | st.floats(allow_nan=False, allow_infinity=False)),
        max_size=2,
    ).map(tuple),
)


@given(st.lists(DRAFTS, max_size=3))
def test_every_record_comes_back_equal(tmp_path_factory: pytest.TempPathFactory, drafts: list[Draft]) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "drafts.jsonl"
    assert jsonl.write(path, drafts) == len(drafts)
    assert list(jsonl.read(path, Draft)) == drafts
    assert path.read_bytes().count(b"\n") == len(drafts)


def test_bytes_are_those_of_the_fields_in_order() -> None:
    sample = Sample("a#1", "a", "knowledge", (Message("user", "Où?\u2028"),), Origin("generated", "a#1"))
    assert jsonl.line(sample).decode() == (
        '{"id": "a#1", "leaf": "a", "branch": "knowledge", "messages": [{"role": "user", "content": '
        '"Où?\u2028"}], "origin": {"kind": "generated", "name": "a#1", "licence": "", "document": "", '
        '"start": 0, "end": 0}}\n'
    )


GOOD = jsonl.to_json(Sample("a#1", "a", "knowledge", (Message("user", "x"),), Origin("generated", "a#1")))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"colour": 1}, "`colour` is not a key"),
        ({"branch": "skills"}, "`branch` should be one of knowledge"),
        ({"id": 3}, "`id` should be a text, not 3"),
        ({"messages": "x"}, "`messages` should be a list"),
        ({"messages": [{"role": "user"}]}, "lacks its `messages[0].content`"),
        ({"messages": [{"role": "user", "content": "x", "name": "y"}]}, "`messages[0].name` is not a key"),
        ({"origin": {**GOOD["origin"], "start": True}}, "`origin.start` should be a whole number, not true"),
        ({"origin": None}, "`origin` should be a Origin"),
    ],
)
def test_what_is_no_such_record_is_refused_with_file_and_line(
    tmp_path: Path, change: dict[str, object], named: str
) -> None:
    path = tmp_path / "accepted.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps({**GOOD, **change}) + "\n")
    with pytest.raises(RunError) as error:
        list(jsonl.read(path, Sample))
    assert "accepted.jsonl:2" in error.value.what
    assert named in error.value.what


@pytest.mark.parametrize("raw", [b"{", b"\xff\n", b"[" * 100_000, b'{"id": NaN}\n', b"\n"])
def test_a_line_that_is_no_json_is_one_error(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(raw)
    with pytest.raises(RunError, match=r"x\.jsonl:1"):
        list(jsonl.read(path, Sample))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such file"):
        list(jsonl.read(tmp_path / "x.jsonl", Sample))


def test_a_loss_that_is_no_number_is_refused_not_written_as_one(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.jsonl"
    with pytest.raises(RunError, match="losses is nan"):
        jsonl.write(path, [Checkpoint("kt1", 1, 1, "x", losses=(float("nan"),))])
    assert not path.exists()


def test_a_full_disk_is_told_as_one() -> None:
    told = jsonl.explain(OSError(errno.ENOSPC, "No space left on device"), Path("x"))
    assert told is not None
    assert "the disk is full: x" in told.what
    assert jsonl.explain(OSError(errno.EINVAL, "Invalid argument")) is None
