"""Decided drafts on their way to 2-samples: on disk at once, so that memory does not grow with them."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from feldspar import generate, jsonl
from feldspar.errors import RunError
from feldspar.types import Draft, Leaf

_AT_ONCE = 512
_TABLE = """
CREATE TABLE drafts (leaf INTEGER, draw INTEGER, line BLOB, sample BLOB, PRIMARY KEY (leaf, draw))
"""


class DraftBook:
    """A scratch file that drafts go into as they are decided, and come out of by leaf and draw.

    Args:
        path: The file, not there yet.
        leaves: Every leaf that drafts may be of.

    Raises:
        RunError: The disk is full, or the place cannot be written to.
    """

    def __init__(self, path: Path, leaves: Mapping[str, Leaf]) -> None:
        self._path = path
        self._leaves = leaves
        self._places = {leaf: place for place, leaf in enumerate(sorted(leaves))}
        self._waiting: list[tuple[int, int, bytes, bytes | None]] = []
        self.accepted = 0
        with self._told():
            self._database = sqlite3.connect(path, isolation_level=None)
            # Nothing here outlives the stage: what a crash leaves behind is made again.
            self._database.execute("PRAGMA journal_mode = OFF")
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.execute(_TABLE)

    def add(self, draft: Draft) -> None:
        """Keep a decided draft."""
        leaf = self._leaves[draft.leaf]
        sample = None if draft.rejected else jsonl.line(generate.to_sample(draft, leaf))
        self.accepted += not draft.rejected
        self._waiting.append((self._places[draft.leaf], draft.draw, jsonl.line(draft), sample))
        if len(self._waiting) >= _AT_ONCE:
            self._flush()

    def write(self, folder: Path) -> None:
        """Write `accepted.jsonl`, `drafts.jsonl` (the same, with their stories) and `rejected.jsonl`."""
        self._flush()
        for name, column, fate in (
            ("accepted", "sample", "NOT NULL"),
            ("drafts", "line", "NOT NULL"),
            ("rejected", "line", "NULL"),
        ):
            query = f"SELECT {column} FROM drafts WHERE sample IS {fate} ORDER BY leaf, draw"  # noqa: S608
            path = folder / f"{name}.jsonl"
            partial = path.with_name(path.name + ".partial")
            with self._told(), jsonl.writing(path), partial.open("wb") as file:
                file.writelines(line for (line,) in self._database.execute(query))
            os.replace(partial, path)

    def close(self) -> None:
        """Let go of the file, and remove it."""
        self._database.close()
        self._path.unlink(missing_ok=True)

    def _flush(self) -> None:
        with self._told():
            self._database.execute("BEGIN")
            self._database.executemany("INSERT INTO drafts VALUES (?, ?, ?, ?)", self._waiting)
            self._database.execute("COMMIT")
        self._waiting.clear()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            again = "give the same command again: every reply is in the journal."
            # An extended code's low byte is the code itself.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
                what, mend = (
                    f"the disk is full: {self._path} could not be written",
                    f"Free some space and {again}",
                )
            else:
                what, mend = f"{self._path} cannot be used: {error}", f"Mend that and {again}"
            raise RunError(what, mend) from error
