"""Every reply a teacher gave, in one SQLite file, so that none is paid for twice.

A reply is handed on only after it is committed: `kill -9` loses what was in flight and nothing
else. One thread writes, and commits whatever waits together. Another process is kept out by a
lock on a second file: the system drops it when its holder dies, however it dies.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from feldspar.errors import JournalError
from feldspar.teacher import store
from feldspar.teacher.api import Alternatives, Costs, Reply, canonical, key_of, readable

_BATCH = 1024
_GATHERING = 0.01  # seconds
_LARGEST_WAL = 128 << 20  # bytes
_UNFIT = (
    ValueError,
    OverflowError,
    TypeError,
    AttributeError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
)
_WAL_WAIT = 100  # milliseconds that readers are waited for when it is larger


@dataclass(frozen=True, slots=True)
class _Write:
    key: str
    asked: str
    reply: Reply
    done: Future[None] | asyncio.Future[None]
    loop: asyncio.AbstractEventLoop | None = None
    """Whose future it is; None: a thread's."""


class Journal:
    """The journal of a run, open for this process alone.

    Args:
        path: the SQLite file; it is made if it is not there, and converted if it is of format 1.
        readonly: look things up, also while another process writes; the file must exist.

    Raises:
        JournalError: another process has it open, it is damaged, it is of another version or is
            no journal, or the file cannot be opened.
    """

    def __init__(self, path: Path, readonly: bool = False) -> None:
        self.path = path
        self._lock_file = None if readonly else store.locked(path)
        self._reading = threading.Lock()
        self._writes: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._closed = False
        self._restart_at = _LARGEST_WAL
        try:
            if not readonly:
                self._connection, _ = store.opened(path, readonly=False)
            self._reads, version = self._opened_to_read(readonly)
            self._binary = version == store.FORMAT
            self._one, self._whole, self._sums = store.queries(version)
            if not readonly:
                self.costs()  # the write-ahead log is made by what first needs it
                self._files = store.files_at(path)
                self._writer = threading.Thread(target=self._write_all, name="journal", daemon=True)
                self._writer.start()
        except BaseException:
            store.unlock(self._lock_file)
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
        done: Future[None] = Future()
        if self._closed or self._writer is None:
            done.set_exception(self._not_open())
        else:
            self._writes.put(_Write(key_of(asked), asked, reply, done))
        return done

    async def keep(self, key: str, asked: str, reply: Reply) -> None:
        """`put` for an event loop, which is woken once for all that were committed together.

        Args:
            key: what `key_of(asked)` gives; who asks has it already.
            asked: the canonical request.
            reply: what to store.

        Raises:
            JournalError: it could not be stored.
        """
        if self._closed or self._writer is None:
            raise self._not_open()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._writes.put(_Write(key, asked, reply, done, loop))
        await done

    def get(self, key: str) -> tuple[dict[str, Any], Reply] | None:
        """The request, as it was sent, and its reply; None if the key is not there.

        Raises:
            JournalError: the file cannot be read, or what stands there is damaged.
        """
        row = self._row(self._whole, key)
        if row is None:
            return None
        try:
            request = json.loads(store.unpacked(row[-1]))
        except (ValueError, RecursionError) as error:
            raise store.damaged(self.path, f"the request {key} cannot be read: {error}") from None
        if not isinstance(request, dict):
            raise store.damaged(self.path, f"the request {key} is no object")
        return request, self._reply(key, row)

    def reply(self, key: str) -> Reply | None:
        """The stored reply alone; None if the key is not there.

        Raises:
            JournalError: the file cannot be read, or what stands there is damaged.
        """
        row = self._row(self._one, key)
        return None if row is None else self._reply(key, row)

    def count(self) -> int:
        """How many replies are stored."""
        return self.costs().sent

    def costs(self) -> Costs:
        """What all stored replies took, over every process that wrote here."""
        count, prompt, completion, seconds = self._fetched(self._sums, ()) or (0, 0, 0, 0.0)
        return Costs(count, 0, int(prompt), int(completion), float(seconds))

    def close(self) -> None:
        """Commits what waits, and lets others in. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            self._writes.put(None)
            self._writer.join()
        with self._reading:
            self._reads.close()
        if self._writer is not None:
            # The last to close folds the write-ahead log into the file, so it must be one that writes.
            self._connection.close()
        store.unlock(self._lock_file)

    def _opened_to_read(self, check: bool) -> tuple[sqlite3.Connection, int]:
        try:
            return store.opened(self.path, readonly=True, check=check)
        except JournalError:
            if not check:
                self._connection.close()
            raise

    def _not_open(self) -> JournalError:
        return JournalError(f"{self.path} is not open for writing.")

    def _row(self, query: str, key: str) -> tuple[Any, ...] | None:
        try:
            return self._fetched(query, (bytes.fromhex(key) if self._binary else key,))
        except ValueError:
            return None

    def _fetched(self, query: str, values: tuple[str | bytes, ...]) -> tuple[Any, ...] | None:
        try:
            with self._reading:
                found: tuple[Any, ...] | None = self._reads.execute(query, values).fetchone()
                return found
        except sqlite3.Error as error:
            raise store.said(self.path, error) from None

    def _reply(self, key: str, row: tuple[Any, ...]) -> Reply:
        text, finish, prompt, completion, seconds, others, checksum = row[:7]
        try:
            if checksum is not None and checksum != store.checksum(text, others):
                raise ValueError("it is not as it was written")
            alternatives = _alternatives(others) if others else ()
            if not (isinstance(text, str) and isinstance(finish, str) and isinstance(seconds, float)):
                raise TypeError("a column is of another type")
            if not (isinstance(prompt, int) and isinstance(completion, int)):
                raise TypeError("a count is no number")
        except (ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            raise store.damaged(self.path, f"the reply {key}: {error}") from None
        return Reply(text, finish, prompt, completion, True, key, seconds, alternatives)

    def _write_all(self) -> None:
        many = False
        while (first := self._writes.get()) is not None:
            if many:
                # Where many come, a commit for each few would cost more than the rows themselves.
                time.sleep(_GATHERING)
            batch = [first]
            last = False
            while len(batch) < _BATCH and not self._writes.empty():
                write = self._writes.get()
                if write is None:
                    last = True
                    break
                batch.append(write)
            many = len(batch) > 1
            self._commit(batch)
            if last:
                return

    def _commit(self, batch: list[_Write]) -> None:
        failure: JournalError | None = None
        try:
            rows = [_row(write) for write in batch]
            with self._connection:
                self._connection.executemany(store.INSERT, rows)
            failure = self._moved()
        except _UNFIT as error:
            # A row that SQLite cannot hold must not take its batch along.
            if len(batch) > 1:
                for write in batch:
                    self._commit([write])
                return
            failure = JournalError(f"{self.path}: a reply cannot be stored: {error}.")
        except sqlite3.Error as error:
            failure = store.said(self.path, error)
        _tell(batch, failure)

    def _moved(self) -> JournalError | None:
        """Whether the file is still the one that was opened: what is written to another is lost."""
        main, log, size = store.files_at(self.path)
        if (main, log) != self._files[:2]:
            return JournalError(
                f"{self.path}, or its -wal file, was removed or replaced while it was in use.",
                "Put it back from a copy, if there is one, and run the same command again.",
            )
        if size > self._restart_at:
            # One read after another can keep the log from starting over by itself.
            self._restart_at = size + _LARGEST_WAL // 4
            with suppress(sqlite3.Error):  # what was committed is safe in the log
                self._connection.execute(f"PRAGMA busy_timeout = {_WAL_WAIT}")
                (busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
                self._restart_at = self._restart_at if busy else _LARGEST_WAL
            self._connection.execute(f"PRAGMA busy_timeout = {int(store.LOCKED_FOR * 1000)}")
        return None


def _row(write: _Write) -> tuple[Any, ...]:
    reply = write.reply
    text, finish = readable(reply.text), readable(reply.finish)
    others = canonical(reply.alternatives) if reply.alternatives else ""
    check = store.checksum(text, others)
    numbers = (reply.prompt_tokens, reply.completion_tokens, reply.seconds, time.time(), check)
    return (bytes.fromhex(write.key), *numbers, finish, text, others, store.packed(write.asked))


def _alternatives(stored: str) -> Alternatives:
    return tuple(tuple((str(token), float(value)) for token, value in at) for at in json.loads(stored))


def _tell(batch: list[_Write], failure: JournalError | None) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for write in batch:
        if write.loop is not None and isinstance(write.done, asyncio.Future):
            loops.setdefault(write.loop, []).append(write.done)
        elif isinstance(write.done, Future) and write.done.set_running_or_notify_cancel():
            # A caller that gave up has cancelled its future; its reply is stored all the same.
            _settle(write.done, failure)
    for loop, futures in loops.items():
        # A loop that was closed meanwhile has nobody left to tell.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle_all, futures, failure)


def _settle_all(futures: list[asyncio.Future[None]], failure: JournalError | None) -> None:
    for done in futures:
        if not done.done():
            _settle(done, failure)


def _settle(done: Future[None] | asyncio.Future[None], failure: JournalError | None) -> None:
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
