"""The scratch file of decided drafts: what goes wrong with it is told as what it is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from feldspar.errors import RunError
from feldspar.stages.drafts import DraftBook
from feldspar.types import Draft, Leaf, Message

LEAF = Leaf("a", "knowledge", "t", "x", "c", "d", ())


def fill(book: DraftBook, count: int) -> None:
    for draw in range(1, count + 1):
        book.add(Draft(f"a#{draw}", "a", draw, "knowledge", (Message("user", "q" * 900),), rejected="short"))


def test_a_full_disk_asks_for_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def small(*words: object, **options: object) -> sqlite3.Connection:
        database = connect(*words, **options)  # type: ignore[call-overload]
        # SQLite's own "database or disk is full".
        database.execute("PRAGMA max_page_count = 8")
        return database  # type: ignore[no-any-return]

    monkeypatch.setattr(sqlite3, "connect", small)
    book = DraftBook(tmp_path / "drafts.sqlite", {"a": LEAF})
    with pytest.raises(RunError) as caught:
        fill(book, 600)
    book.close()
    assert caught.value.what == f"the disk is full: {tmp_path}/drafts.sqlite could not be written"
    assert caught.value.mend.startswith("Free some space and give the same command again")


def test_anything_else_is_told_in_sqlite_s_words(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunError) as caught:
        DraftBook(tmp_path / "folder", {"a": LEAF})
    assert caught.value.what == f"{tmp_path}/folder cannot be used: unable to open database file"
    assert "space" not in caught.value.mend
    book = DraftBook(tmp_path / "drafts.sqlite", {"a": LEAF})
    with sqlite3.connect(tmp_path / "drafts.sqlite") as other:
        other.execute("DROP TABLE drafts")
    with pytest.raises(RunError) as caught:
        fill(book, 600)
    book.close()
    assert caught.value.what == f"{tmp_path}/drafts.sqlite cannot be used: no such table: drafts"
    assert "every reply is in the journal" in caught.value.mend
