"""The journal's file: its tables, how it is opened, converted and locked, and SQLite's complaints.

Rows are appended, and a separate index leads to them: a table in the order of its keys, which are
random, would rewrite pages all over the file as it grows. Sums are kept by a trigger, so that they
are right after any commit and nothing is scanned for them.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO

from feldspar.errors import JournalError

log = logging.getLogger("feldspar.teacher")

FORMAT = 2
BEFORE = 1
"""The format that is still read, and converted when it is opened for writing."""
LARGEST_CHECKED = 1 << 30  # bytes; beyond, a full check would hold up the start for too long
LOCKED_FOR = 30.0  # seconds that another program may keep us from reading or writing
_LONG = 256 << 20  # bytes; converting more takes long enough to be told of
_CONVERTED = 70e6  # bytes a second
_LARGEST_REQUEST = 256 << 20  # bytes, unpacked
_CACHE = 8 << 10  # KiB of pages, for each connection
_CHECKPOINT = 4000  # pages: an index page that many rows share is then written once for them
_KEPT_WAL = 64 << 20  # bytes

_TABLES = (
    """
CREATE TABLE replies (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, seconds REAL NOT NULL, created REAL NOT NULL,
    checksum INTEGER NOT NULL, finish TEXT NOT NULL, reply TEXT NOT NULL, alternatives TEXT NOT NULL,
    request BLOB NOT NULL
)""",
    """
CREATE TABLE totals (
    id INTEGER PRIMARY KEY CHECK (id = 1), replies INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, seconds REAL NOT NULL
)""",
    "INSERT INTO totals VALUES (1, 0, 0, 0, 0.0)",
)
_INDEX = "CREATE UNIQUE INDEX replies_by_key ON replies (key)"
_TRIGGER = """
CREATE TRIGGER added_up AFTER INSERT ON replies BEGIN
    UPDATE totals SET replies = replies + 1, prompt_tokens = prompt_tokens + new.prompt_tokens,
        completion_tokens = completion_tokens + new.completion_tokens, seconds = seconds + new.seconds;
END"""
_COPIED = """
INSERT INTO replies
SELECT NULL, packed_key(key), prompt_tokens, completion_tokens, seconds, created, checksum(reply, ''),
    finish, reply, '', packed_text(request)
FROM old ORDER BY old.key"""
_COUNTED = """
UPDATE totals SET (replies, prompt_tokens, completion_tokens, seconds) =
    (SELECT count(*), total(prompt_tokens), total(completion_tokens), total(seconds) FROM old)"""

INSERT = "INSERT OR IGNORE INTO replies VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COLUMNS = "reply, finish, prompt_tokens, completion_tokens, seconds, alternatives, checksum"
_COLUMNS_BEFORE = "reply, finish, prompt_tokens, completion_tokens, seconds, '', NULL"
_SUMS = "SELECT replies, prompt_tokens, completion_tokens, seconds FROM totals"
_SUMS_BEFORE = "SELECT count(*), total(prompt_tokens), total(completion_tokens), total(seconds) FROM replies"


def packed(text: str) -> bytes:
    """A request as it is stored. Level 1 halves prose in some 30 µs for 3 kB, on the writer's thread."""
    return zlib.compress(text.encode(), 1)


def unpacked(stored: str | bytes) -> str:
    """The request that `packed` was given; a text as it is, which is how format 1 has it.

    Raises:
        ValueError: it is no packed text, or of an absurd size.
    """
    if isinstance(stored, str):
        return stored
    try:
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(stored, _LARGEST_REQUEST)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not unpacking.eof:
        raise ValueError("a request is cut off")
    return text.decode()


def checksum(reply: str, alternatives: str) -> int:
    """What a reply is checked with when it is read: SQLite's pages have no checksum of their own."""
    return zlib.crc32(alternatives.encode(), zlib.crc32(reply.encode()))


def queries(version: int) -> tuple[str, str, str]:
    """Of a format: a reply by its key, the same with its request last, and the sums."""
    columns, sums = (_COLUMNS, _SUMS) if version == FORMAT else (_COLUMNS_BEFORE, _SUMS_BEFORE)
    return (
        f"SELECT {columns} FROM replies WHERE key = ?",  # noqa: S608 (two constants)
        f"SELECT {columns}, request FROM replies WHERE key = ?",  # noqa: S608
        sums,
    )


def opened(path: Path, readonly: bool, check: bool = True) -> tuple[sqlite3.Connection, int]:
    """A connection to a journal, and the format that it is of; for writing, that is always `FORMAT`.

    Raises:
        JournalError: it is damaged, of another version, no journal, or cannot be opened.
    """
    try:
        address = f"{path.absolute().as_uri()}?mode={'ro' if readonly else 'rwc'}"
        connection = sqlite3.connect(address, uri=True, check_same_thread=False, timeout=LOCKED_FOR)
    except sqlite3.Error as error:
        raise said(path, error) from None
    try:
        version = _prepared(connection, path, readonly, check)
    except sqlite3.Error as error:
        connection.close()
        raise said(path, error) from None
    except JournalError:
        connection.close()
        raise
    return connection, version


def _prepared(connection: sqlite3.Connection, path: Path, readonly: bool, check: bool) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version not in {FORMAT, BEFORE} and (tables or version):
        raise JournalError(
            f"{path} is no journal of this version of Feldspar (it says {version}, not {FORMAT}).",
            "Open it with the version that wrote it, or name another run folder.",
        )
    if check and tables and path.stat().st_size <= LARGEST_CHECKED:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise damaged(path, str(verdict).splitlines()[0])
    connection.execute(f"PRAGMA cache_size = -{_CACHE}")
    if readonly:
        return int(version or FORMAT)
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL: a reply that was paid for also outlives a power cut. Batches keep it cheap.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
    connection.execute(f"PRAGMA journal_size_limit = {_KEPT_WAL}")
    if version == BEFORE:
        _convert(connection, path)
    elif not tables:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in (*_TABLES, _INDEX, _TRIGGER, f"PRAGMA user_version = {FORMAT}"):
                connection.execute(statement)
    return FORMAT


def _convert(connection: sqlite3.Connection, path: Path) -> None:
    """Makes format 2 of format 1, in one transaction: all of it, or nothing and again next time."""
    size = path.stat().st_size
    if size > _LONG:
        told = "%s, %.1f GB, is converted to a new format, once; that takes about %d s."
        log.warning(told, path, size / 1e9, size / _CONVERTED)
    # Otherwise what is dropped is overwritten first, and goes through the write-ahead log.
    connection.execute("PRAGMA secure_delete = OFF")
    connection.create_function("packed_key", 1, bytes.fromhex, deterministic=True)
    connection.create_function("packed_text", 1, packed, deterministic=True)
    connection.create_function("checksum", 2, checksum, deterministic=True)
    try:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ALTER TABLE replies RENAME TO old")
            # The trigger comes last: the sums of what is copied are made at once.
            for statement in (*_TABLES, _COPIED, _COUNTED, _INDEX, _TRIGGER, "DROP TABLE old"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {FORMAT}")
    except sqlite3.Error as error:
        reason = said(path, error)
        raise JournalError(
            f"{reason.what} It is still of format {BEFORE}, and whole.",
            f"Converting it needs about {2 * size / 1e9:.1f} GB for a while. {reason.mend}",
        ) from None
    # What it left in the write-ahead log is as large as the journal, and safe there meanwhile.
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def files_at(path: Path) -> tuple[tuple[int, int], tuple[int, int], int]:
    """Device and inode of the file and of its write-ahead log, and that one's size in bytes."""
    found = [(0, 0), (0, 0)]
    size = 0
    for place, file in enumerate((path, path.with_name(path.name + "-wal"))):
        with suppress(OSError):  # a file system on which SQLite has no such log, or it is gone
            status = file.stat()
            found[place], size = (status.st_dev, status.st_ino), status.st_size
    return found[0], found[1], size if found[1] != (0, 0) else 0


def damaged(path: Path, reason: str) -> JournalError:
    """The error of a file that is not as it was written."""
    return JournalError(
        f"{path} is damaged: {reason}.",
        f"Put a copy back, or save what is left: sqlite3 {path.name} .recover; "
        "or move it away: what is missing is asked for again.",
    )


def said(path: Path, error: sqlite3.Error) -> JournalError:
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
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return JournalError(
            f"{path} has been locked by another program for {LOCKED_FOR:g} s.",
            "End what has it open (a database browser, a backup), then run the same command again.",
        )
    if name == "SQLITE_NOTADB" or name.startswith("SQLITE_CORRUPT") or "decode to UTF-8" in str(error):
        return damaged(path, str(error))
    return JournalError(
        f"{path} cannot be used: {error}.", "See that the folder exists and that you may write in it."
    )


def locked(path: Path) -> IO[str]:
    """The lock that keeps other processes out, as long as it is open.

    Raises:
        JournalError: another process has it, or its file cannot be made.
    """
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


def unlock(file: IO[str] | None) -> None:
    """Lets others in. The file stays: removing it could take it from under the next holder."""
    if file is not None:
        file.close()
