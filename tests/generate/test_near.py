"""The index of accepted drafts against brute force, its cost's shape, and its file."""

from __future__ import annotations

import os
import random
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feldspar.errors import RunError
from feldspar.generate import near
from feldspar.generate.checks import known, twin
from feldspar.generate.near import Nearest
from feldspar.generate.sketch import columns, reaching, sums

Parts = tuple[str, ...]

WORDS = [
    "a",
    "a",
    "a",
    "the",
    "the",
    "lake",
    "deep",
    "ferry",
    "Lake!",
    "42",
    "ß",
    "深い湖",
    "озеро",
    "ไทย",
    "?",
]
THRESHOLDS = st.sampled_from([0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0]) | st.floats(0.01, 1)


def texts(most: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(WORDS), max_size=most).map(" ".join) | st.text(max_size=12)


def compare(added: list[Parts], asked: list[Parts], threshold: float) -> None:
    """Each draft's twin by the index is the one by comparing with all."""
    index = Nearest()
    try:
        for number, parts in enumerate(added):
            index.add("leaf", f"leaf#{number}", parts)
            index.add("other", f"other#{number}", parts[::-1])
        all_known = [known(f"leaf#{number}", parts) for number, parts in enumerate(added)]
        for parts in (*added, *asked):
            like = twin(parts, all_known, threshold)
            assert index.closest("leaf", parts, threshold) == (like and (like[0].name, like[1])), parts
    finally:
        index.close()


@given(
    st.integers(1, 3).flatmap(
        lambda parts: st.tuples(
            *[st.lists(st.tuples(*[texts(12)] * parts), max_size=40 if turn == 0 else 6) for turn in (0, 1)]
        )
    ),
    THRESHOLDS,
)
@settings(deadline=None)
def test_no_twin_is_missed_and_the_earliest_of_equals_is_named(
    both: tuple[list[Parts], list[Parts]], threshold: float
) -> None:
    compare(*both, threshold)


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("longest", [30, 400])
def test_nor_among_many_of_all_lengths(longest: int, threshold: float) -> None:
    dice = random.Random(longest)
    vocabulary = [f"w{n}" for n in range(60)]
    added: list[Parts] = []
    for _ in range(150 if longest > 100 else 500):
        if added and dice.random() < 0.7:
            # As like as the threshold asks, a little more or a little less.
            text = dice.choice(added)[1].split()
            for _ in range(int((1 - threshold) * len(text) * dice.uniform(0.5, 1.5))):
                text[dice.randrange(len(text))] = dice.choice(vocabulary)
        else:
            text = dice.choices(vocabulary, k=dice.randrange(1, longest))
        added.append((dice.choice(["", "", "one two", "one three four"]), " ".join(text)))
    compare(added[: len(added) * 2 // 3], added[len(added) * 2 // 3 :], threshold)


def test_chunks_are_filled_and_followed_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "_MOST", 64)
    dice = random.Random(3)
    added = [("", " ".join(dice.choices("abcdefghij", k=dice.randrange(3, 9)))) for _ in range(300)]
    compare(added, [], 0.8)


@pytest.mark.parametrize("stretch", [0, 1 << 40])
def test_rows_read_alone_or_with_all_others_say_the_same(
    monkeypatch: pytest.MonkeyPatch, stretch: int
) -> None:
    monkeypatch.setattr(near, "_STRETCH", stretch)
    dice = random.Random(4)
    added = [("", " ".join(dice.choices("abcdefghij", k=dice.randrange(3, 20)))) for _ in range(100)]
    compare(added, [], 0.7)


@given(st.lists(st.integers(0, 2**20 - 1), max_size=40), st.integers(0, 45), st.integers(0, 2**20 - 1))
def test_columns_are_added_up_bit_by_bit(rows: list[int], least: int, among: int) -> None:
    totals = [sum(row >> column & 1 for row in rows) for column in range(20)]
    wanted = [n for n, total in enumerate(totals) if total >= least and among >> n & 1]
    assert list(columns(reaching(sums(rows), least, among))) == wanted


def test_few_texts_are_read_again_where_many_share_their_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes it fast: of 600 texts with a dozen words in common, some two are compared."""
    dice = random.Random(5)
    index = Nearest()
    compared = 0
    plain = near._least

    def counting(*given: object) -> float:
        nonlocal compared
        compared += 1
        return plain(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(near, "_least", counting)
    for number in range(600):
        subject = " ".join(
            f"{kind}{dice.randrange(200)}" for kind in ("river", "town", "boat", "year", "man")
        )
        text = f"Please write a short note about {subject} for the people of the place"
        index.closest("leaf", ("", text), 0.9)
        index.add("leaf", str(number), ("", text))
    index.close()
    assert compared < 1200


def test_memory_does_not_grow_with_the_texts() -> None:
    dice = random.Random(6)

    def fill(count: int) -> None:
        for number in range(count):
            text = " ".join(f"w{dice.randrange(5000)}" for _ in range(40))
            index.add(f"leaf{number % 5}", f"leaf#{number}", ("", text))

    index = Nearest()
    tracemalloc.start()
    try:
        fill(200)
        before, _ = tracemalloc.get_traced_memory()
        fill(1000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        index.close()
    assert after - before < 20_000, "bytes for 1,000 texts, of 330 bytes each"


def test_its_file_is_removed_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "near"
    path.write_bytes(b"what a killed run has left")
    index = Nearest(path)
    index.add("leaf", "one", ("how deep is the lake",))
    assert index.closest("leaf", ("how deep is the lake?",), 0.7) == ("one", 1.0)
    assert index.closest("another", ("how deep is the lake?",), 0.7) is None
    index.close()
    index.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    path = tmp_path / "near"
    path.symlink_to("/dev/full")
    index = Nearest(path)
    with pytest.raises(RunError, match="the disk is full") as caught:
        index.add("leaf", "one", ("how deep is the lake",))
    index.close()
    assert "Free some space" in caught.value.mend


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "near"
    index = Nearest(path)
    for number in range(3):
        index.add("leaf", f"leaf#{number}", ("", "how deep is the lake"))
    whole = path.read_bytes()
    for damage in (whole[:-4], whole[: len(whole) // 2], b"\xff" * len(whole)):
        path.write_bytes(damage)
        with pytest.raises(RunError, match="not as it was written") as caught:
            index.closest("leaf", ("", "how deep is the lake"), 0.7)
        assert "Run again" in caught.value.mend
    index.close()


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is a directory"):
        Nearest(tmp_path)
    with pytest.raises(RunError, match="near"):
        Nearest(tmp_path / "nowhere" / "near")
