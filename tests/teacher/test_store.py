"""The journal's file: format 1 converted, the log bounded, and each fault of a disk or a neighbour named."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from feldspar.errors import JournalError
from feldspar.teacher import Journal, Reply, Request, asked, key_of, store
from feldspar.types import Message

SRC = str(Path(__file__).resolve().parents[2] / "src")
TABLE_1 = """
CREATE TABLE replies (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, reply TEXT NOT NULL, finish TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
    seconds REAL NOT NULL, created REAL NOT NULL
) WITHOUT ROWID
"""
KILLED = """
import os, signal, sys
from pathlib import Path
from feldspar.teacher import Journal, store
packed, left = store.packed, [60]
def deadly(text):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return packed(text)
store.packed = deadly
Journal(Path(sys.argv[1]))
"""
FULL = """
import resource, sys
from pathlib import Path
from feldspar.errors import JournalError
from feldspar.teacher import Journal, Reply
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with Journal(Path(sys.argv[1])) as journal:
        for n in range(int(sys.argv[3])):
            journal.put(f"{n}" + "x" * 100, Reply(f"{n}" * 1000)).result()
            print(n, flush=True)
except JournalError as error:
    print(error.what.replace(chr(10), " "))
    print(error.mend.replace(chr(10), " "))
"""


def text(n: int) -> str:
    return asked(Request((Message("user", f"q{n} " + "and so on " * 20),)), "m")


def said(n: int) -> str:
    return f"a{n} ü " * 40


def write_1(path: Path, count: int = 100) -> None:
    """A journal as Feldspar wrote it before."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(TABLE_1)
        rows = [(key_of(text(n)), text(n), said(n), "stop", 3, n, 0.25, 1e9 + n) for n in range(count)]
        connection.executemany("INSERT INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        connection.execute("PRAGMA user_version = 1")
    connection.close()


def version(path: Path) -> int:
    connection = sqlite3.connect(path)
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(found)


def holds_all(path: Path, count: int = 100, readonly: bool = True) -> None:
    with Journal(path, readonly=readonly) as journal:
        for n in range(count):
            found = journal.get(key_of(text(n)))
            assert found is not None
            assert found[0] == json.loads(text(n))
            assert found[1] == Reply(said(n), "stop", 3, n, True, key_of(text(n)), 0.25)
            assert journal.reply(key_of(text(n))) == found[1]
        costs = journal.costs()
    sums = (count, 3 * count, sum(range(count)), 0.25 * count)
    assert (costs.sent, costs.prompt_tokens, costs.completion_tokens, costs.seconds) == sums


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": SRC},
        timeout=60,
    )


def test_format_1_is_read_as_it_is_and_converted_to_be_written(tmp_path: Path) -> None:
    path = tmp_path / "j"
    write_1(path)
    holds_all(path)
    assert version(path) == 1
    holds_all(path, readonly=False)
    assert version(path) == 2
    holds_all(path)
    with Journal(path) as journal:
        journal.put(text(0), Reply("another")).result()
        journal.put(text(100), Reply("new", "length", 5, 6)).result()
        assert journal.count() == 101
        first = journal.reply(key_of(text(0)))
        assert first is not None
        assert first.text == said(0)
        assert journal.costs().prompt_tokens == 305


def test_an_empty_journal_of_format_1_is_converted_too(tmp_path: Path) -> None:
    write_1(tmp_path / "j", 0)
    holds_all(tmp_path / "j", 0, readonly=False)


def test_kill_9_while_converting_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j"
    write_1(path)
    assert run(KILLED, path).returncode == -signal.SIGKILL
    holds_all(path)
    assert version(path) == 1
    holds_all(path, readonly=False)


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on a file's size")
def test_a_disk_too_small_to_convert_leaves_format_1_whole(tmp_path: Path) -> None:
    path = tmp_path / "j"
    write_1(path, 2000)
    done = run(FULL, path, path.stat().st_size // 3, 0)
    assert "still of format 1, and whole" in done.stdout, done.stderr
    assert "Converting it needs about" in done.stdout
    assert version(path) == 1
    holds_all(path, 2000)
    # Here it can be converted, but the result stays in the write-ahead log.
    assert run(FULL, path, path.stat().st_size + 100_000, 0).stdout == ""
    assert (tmp_path / "j-wal").stat().st_size > 100_000
    holds_all(path, 2000)
    holds_all(path, 2000, readonly=False)
    assert version(path) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on a file's size")
def test_a_file_that_cannot_grow_is_named_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "j"
    done = run(FULL, path, 400_000, 10**6)
    *numbers, what, mend = done.stdout.splitlines()
    assert "cannot be read or written" in what or "disk is full" in what
    assert "run the same command again" in mend
    assert len(numbers) > 10
    with Journal(path) as journal:
        for n in map(int, numbers):
            reply = journal.reply(key_of(f"{n}" + "x" * 100))
            assert reply is not None
            assert reply.text == f"{n}" * 1000


def test_what_another_program_locks_is_named_and_goes_on_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOCKED_FOR", 0.2)
    with Journal(tmp_path / "j") as journal:
        browser = sqlite3.connect(tmp_path / "j", isolation_level=None)
        browser.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match=r"locked by another program for 0\.2 s"):
            journal.put(text(0), Reply("x")).result()
        browser.execute("ROLLBACK")
        browser.close()
        journal.put(text(0), Reply("x")).result()
        assert journal.count() == 1


@pytest.mark.parametrize("name", ["j", "j-wal"])
@pytest.mark.parametrize("instead", [False, True])
def test_a_file_that_is_removed_while_it_is_open_is_named(tmp_path: Path, name: str, instead: bool) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.put(text(0), Reply("x")).result()
        (tmp_path / name).rename(tmp_path / "aside")
        if instead:
            (tmp_path / name).write_bytes((tmp_path / "aside").read_bytes())
        with pytest.raises(JournalError, match="removed or replaced while it was in use"):
            journal.put(text(1), Reply("x")).result()


def test_damage_in_the_middle_is_named_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, rows = tmp_path / "j", 2000
    with Journal(path) as journal:
        for done in [journal.put(text(n), Reply(said(n))) for n in range(rows)]:
            done.result()
    monkeypatch.setattr(store, "LARGEST_CHECKED", 0)  # as for a file that is too large to be checked
    whole = path.read_bytes()
    random.seed(5)
    named = 0
    for _ in range(6):
        data = bytearray(whole)
        page = random.randrange(2, len(data) // 4096) * 4096
        data[page : page + 4096] = random.randbytes(4096)
        path.write_bytes(data)
        with collected() as errors, Journal(path, readonly=True) as journal:
            for n in range(rows):
                with collected(errors):
                    reply = journal.reply(key_of(text(n)))
                    # One that cannot be found any more is asked for again; a wrong one is never had.
                    assert reply is None or reply.text == said(n)
        named += len(errors)
        assert all("is damaged" in error.what and error.mend for error in errors)
    assert named


@contextmanager
def collected(errors: list[JournalError] | None = None) -> Iterator[list[JournalError]]:
    """Collects journal errors."""
    found = [] if errors is None else errors
    try:
        yield found
    except JournalError as error:
        found.append(error)


@pytest.mark.parametrize("instead", [b"B", b"\xff"])
def test_a_reply_of_which_a_byte_has_changed_is_not_handed_on(tmp_path: Path, instead: bytes) -> None:
    path = tmp_path / "j"
    with Journal(path) as journal:
        journal.put(text(0), Reply("one MARK and more", alternatives=((("3", -0.1),),))).result()
        journal.put(text(1), Reply("two")).result()
    data = path.read_bytes()
    assert data.count(b"MARK") == 1
    path.write_bytes(data.replace(b"MARK", b"MAR" + instead))
    with Journal(path) as journal:
        with pytest.raises(JournalError, match="is damaged"):
            journal.reply(key_of(text(0)))
        assert journal.reply(key_of(text(1))) is not None


def test_a_request_that_cannot_be_unpacked_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j"
    for n, bad in enumerate([b"junk", store.packed("{")[:-3], store.packed("[]"), store.packed("{")]):
        with Journal(path) as journal:
            journal.put(text(n), Reply("x")).result()
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("UPDATE replies SET request = ? WHERE id = ?", (bad, n + 1))
        connection.close()
        with Journal(path, readonly=True) as journal:
            assert journal.reply(key_of(text(n))) is not None
            with pytest.raises(JournalError, match="is damaged: the request"):
                journal.get(key_of(text(n)))


def test_a_request_that_unpacks_to_more_than_any_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_LARGEST_REQUEST", 1000)
    assert store.unpacked(store.packed("x" * 1000)) == "x" * 1000
    with pytest.raises(ValueError, match="cut off"):
        store.unpacked(store.packed("x" * 100_000))


def test_the_write_ahead_log_stays_small_while_reads_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_CHECKPOINT", 100)
    path, log = tmp_path / "j", tmp_path / "j-wal"
    over = threading.Event()
    largest = 0

    def reads(journal: Journal) -> None:
        n = 0
        while not over.is_set():
            journal.reply(key_of(text(n % 1500)))
            n += 1

    with Journal(path) as journal:
        reader = threading.Thread(target=reads, args=(journal,))
        reader.start()
        try:
            for begin in range(0, 1500, 50):
                for done in [
                    journal.put(text(n), Reply(os.urandom(2000).hex())) for n in range(begin, begin + 50)
                ]:
                    done.result()
                largest = max(largest, log.stat().st_size)
        finally:
            over.set()
            reader.join()
    assert path.stat().st_size > 6 << 20
    assert largest < 3 << 20


def test_the_write_ahead_log_starts_over_after_a_long_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feldspar.teacher.journal._LARGEST_WAL", 1 << 20)
    monkeypatch.setattr("feldspar.teacher.journal._WAL_WAIT", 1)
    monkeypatch.setattr(store, "_KEPT_WAL", 1 << 19)
    log = tmp_path / "j-wal"

    def write(journal: Journal, begin: int) -> None:
        for first in range(begin, begin + 300, 20):
            numbers = range(first, first + 20)
            for done in [journal.put(text(n), Reply(os.urandom(2000).hex())) for n in numbers]:
                done.result()

    with Journal(tmp_path / "j") as journal:
        write(journal, 0)
        looking = sqlite3.connect(tmp_path / "j", isolation_level=None)
        looking.execute("BEGIN")
        looking.execute("SELECT count(*) FROM replies").fetchone()
        write(journal, 300)
        held = log.stat().st_size
        looking.execute("COMMIT")
        write(journal, 600)
        write(journal, 900)
        # It is cut when it starts over, and starts over at a megabyte.
        assert log.stat().st_size < 1.5 * (1 << 20) < held
        looking.close()
        assert journal.count() == 1200
    assert not log.exists()
