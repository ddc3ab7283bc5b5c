"""Every reply a teacher gave, in one SQLite file, so that none is paid for twice.

A reply is handed on only after it is committed: `kill -9` loses what was in flight and nothing
else. One thread writes, and commits whatever waits together. Another process is kept out by a
lock on a second file: the system drops it when its holder dies, however it dies.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from feldspar.errors import JournalError
from feldspar.teacher.api import Alternatives, Costs, Reply, canonical, key_of, readable
from feldspar.teacher.store import INSERT, checksum, damaged, locked, opened, queries, row_of, said, unlock, unpacked

FORMAT = 2
_BATCH = 1024
_GATHERING = 0.01  # seconds
_LARGEST_WAL = 128 << 20  # bytes
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
        self._lock_file = None if readonly else locked(path)
        self._reading = threading.Lock()
        self._writes: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._closed = False
        try:
            if not readonly:
                self._connection, _ = opened(path, readonly)
            self._reads, version = opened(path, readonly=True, check=readonly)
            self._binary = version == FORMAT
            self._one, self._whole, self._sums = queries(version)
            if not readonly:
                self._files = self._found()
                self._writer = threading.Thread(target=self._write_all, name="journal", daemon=True)
                self._writer.start()
        except BaseException:
            unlock(self._lock_file)
            raise
