"""Every reply a teacher gave, in one SQLite file, so that none is paid for twice.

A reply is handed on only after it is committed: `kill -9` loses what was in flight and nothing
else. One thread writes, and commits whatever waits together. Another process is kept out by a
lock on a second file: the system drops it when its holder dies, however it dies.
"""

from __future__ import annotations

import json
import os
import queue
import sqlite3
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from feldspar.errors import JournalError
from feldspar.teacher.api import Costs, Reply, key_of, readable

FORMAT = 1
_BATCH = 1024
_LARGEST_CHECKED = 1 << 30  # bytes; beyond, a full check would hold up the start for too long
_TABLE = """
CREATE TABLE replies (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, reply TEXT NOT NULL, finish TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
    seconds REAL NOT NULL, created REAL NOT NULL
) WITHOUT ROWID
"""
_INSERT = "INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_SELECT = """
SELECT request, reply, finish, prompt_tokens, completion_tokens, seconds FROM replies WHERE key = ?
"""
_SUMS = "SELECT count(*), total(prompt_tokens), total(completion_tokens), total(seconds) FROM replies"

_Row = tuple[str, str, str, str, int, int, float, float]


@dataclass(frozen=True, slots=True)
class _Write:
    row: _Row
    done: Future[None]


class Journal:
    """The journal of a run, open for this process alone.

    Args:
        path: the SQLite file; it is made if it is not there.
        readonly: look things up, also while another process writes; the file must exist.

    Raises:
        JournalError: another process has it open, it is damaged, it is of another version or is
            no journal, or the file cannot be opened.
    """

    def __init__(self, path: Path, readonly: bool = False) -> None:
        self.path = path
        self._lock_file = None if readonly else _locked(path)
        self._reading = threading.Lock()
        self._writes: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._closed = False
        try:
            self._reads = _opened(path, readonly)
            if not readonly:
                self._connection = _opened(path, readonly, check=False)
                self._writer = threading.Thread(target=self._write_all, name="journal", daemon=True)
                self._writer.start()
        except BaseException:
            _unlock(self._lock_file)
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def put(self, asked: str, reply: Reply) -> Future[None]:
        """Stores the reply to the canonical request `asked`; done when it is committed.

        The future raises `JournalError` when it could not be: the disk is full, or fails. A key
        that is already there keeps its first reply.
        """
        said = (readable(reply.text), readable(reply.finish))
        numbers = (reply.prompt_tokens, reply.completion_tokens, reply.seconds, time.time())
        row = (key_of(asked), asked, *said, *numbers)
        done: Future[None] = Future()
        if self._closed or self._writer is None:
            done.set_exception(JournalError(f"{self.path} is not open for writing."))
        else:
            self._writes.put(_Write(row, done))
        return done

    def get(self, key: str) -> tuple[dict[str, Any], Reply] | None:
        """The request, as it was sent, and its reply; None if the key is not there."""
        row = self._row(_SELECT, (key,))
        if row is None:
            return None
        return json.loads(row[0]), _reply(key, row)

    def reply(self, key: str) -> Reply | None:
        """The stored reply alone; None if the key is not there."""
        row = self._row(_SELECT, (key,))
        return None if row is None else _reply(key, row)

    def count(self) -> int:
        """How many replies are stored."""
        return self.costs().sent

    def costs(self) -> Costs:
        """What all stored replies took, over every process that wrote here."""
        count, prompt, completion, seconds = self._row(_SUMS, ()) or (0, 0, 0, 0.0)
        return Costs(count, 0, int(prompt), int(completion), float(seconds))

    def close(self) -> None:
        """Commits what waits, and lets others in. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            self._writes.put(None)
            self._writer.join()
            self._connection.close()
        with self._reading:
            self._reads.close()
        _unlock(self._lock_file)

    def _row(self, query: str, values: tuple[str, ...]) -> tuple[Any, ...] | None:
        try:
            with self._reading:
                found: tuple[Any, ...] | None = self._reads.execute(query, values).fetchone()
                return found
        except sqlite3.Error as error:
            raise _said(self.path, error) from None

    def _write_all(self) -> None:
        while (first := self._writes.get()) is not None:
            batch = [first]
            last = False
            while len(batch) < _BATCH and not self._writes.empty():
                write = self._writes.get()
                if write is None:
                    last = True
                    break
                batch.append(write)
            self._commit(batch)
            if last:
                return

    def _commit(self, batch: list[_Write]) -> None:
        failure: JournalError | None = None
        try:
            with self._connection:
                self._connection.executemany(_INSERT, [write.row for write in batch])
        except sqlite3.Error as error:
            failure = _said(self.path, error)
        except (ValueError, OverflowError) as error:
            # A row that SQLite cannot hold must not take its batch along.
            if len(batch) > 1:
                for write in batch:
                    self._commit([write])
                return
            failure = JournalError(f"{self.path}: a reply cannot be stored: {error}.")
        for write in batch:
            # A caller that gave up has cancelled its future; its reply is stored all the same.
            if not write.done.set_running_or_notify_cancel():
                continue
            if failure is None:
                write.done.set_result(None)
            else:
                write.done.set_exception(failure)


def _reply(key: str, row: tuple[Any, ...]) -> Reply:
    _, text, finish, prompt, completion, seconds = row
    return Reply(text, finish, prompt, completion, True, key, seconds)


def _opened(path: Path, readonly: bool, check: bool = True) -> sqlite3.Connection:
    try:
        address = f"{path.absolute().as_uri()}?mode={'ro' if readonly else 'rwc'}"
        connection = sqlite3.connect(address, uri=True, check_same_thread=False, timeout=30)
    except sqlite3.Error as error:
        raise _said(path, error) from None
    try:
        _prepare(connection, path, readonly, check)
    except sqlite3.Error as error:
        connection.close()
        raise _said(path, error) from None
    except JournalError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, readonly: bool, check: bool) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version != FORMAT and (tables or version):
        raise JournalError(
            f"{path} is no journal of this version of Feldspar (it says {version}, not {FORMAT}).",
            "Open it with the version that wrote it, or name another run folder.",
        )
    if check and tables and path.stat().st_size <= _LARGEST_CHECKED:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _damaged(path, str(verdict).splitlines()[0])
    if readonly:
        return
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL: a reply that was paid for also outlives a power cut. Batches keep it cheap.
    connection.execute("PRAGMA synchronous = FULL")
    if not tables:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_TABLE)
            connection.execute(f"PRAGMA user_version = {FORMAT}")


def _damaged(path: Path, reason: str) -> JournalError:
    return JournalError(
        f"{path} is damaged: {reason}.",
        f"Put a copy back, or save what is left: sqlite3 {path.name} .recover; "
        "or move it away: what is missing is asked for again.",
    )


def _said(path: Path, error: sqlite3.Error) -> JournalError:
    """SQLite's complaint, in our words."""
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        return JournalError(
            f"{path}: the disk is full.",
            "Free some space and run the same command again: every reply before this one is kept.",
        )
    if name.startswith("SQLITE_IOERR"):
        return JournalError(
            f"{path} cannot be read or written: {error} ({name}).",
            "See whether the disk is full or failing, then run the same command again.",
        )
    if name in {"SQLITE_NOTADB", "SQLITE_CORRUPT"} or name.startswith("SQLITE_CORRUPT"):
        return _damaged(path, str(error))
    return JournalError(
        f"{path} cannot be used: {error}.", "See that the folder exists and that you may write in it."
    )


def _locked(path: Path) -> IO[str]:
    beside = path.with_name(path.name + ".lock")
    try:
        file = beside.open("a+", encoding="ascii", errors="replace")
    except OSError as error:
        reason = error.strerror or "cannot be opened"
        raise JournalError(
            f"{beside}: {reason}.", "See that the folder exists and that you may write in it."
        ) from None
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read(20).strip()
        file.close()
        who = f"process {holder}" if holder.isdigit() else "another process"
        raise JournalError(
            f"{path} is in use by {who}.", "Wait until that run ends, or stop it; nothing of it is lost."
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _unlock(file: IO[str] | None) -> None:
    # Closing drops the lock. The file stays: removing it could take it from under the next holder.
    if file is not None:
        file.close()
