"""The journal is a real file: locked, damaged, full, killed while it is written."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feldspar.errors import JournalError
from feldspar.teacher import Journal, Reply, Request, asked, key_of
from feldspar.types import Message

SRC = str(Path(__file__).resolve().parents[2] / "src")
WRITER = """
import sys
from pathlib import Path
from feldspar.teacher import Journal, Reply, Request, asked
from feldspar.types import Message
with Journal(Path(sys.argv[1])) as journal:
    for n in range(10**9):
        journal.put(asked(Request((Message("user", f"q{n}"),)), "m"), Reply(f"a{n}" * 50)).result()
        print(n, flush=True)
"""
HOLDER = """
import sys
from pathlib import Path
from feldspar.teacher import Journal
journal = Journal(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def text(n: int = 0) -> str:
    return asked(Request((Message("user", f"q{n}"),)), "m")


def child(program: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SRC},
    )


def finish(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_reply_comes_back_in_another_process_as_it_was(tmp_path: Path) -> None:
    reply = Reply("Zwölf\nbirds \x00 😀", "length", 7, 9, seconds=0.25)
    with Journal(tmp_path / "j") as journal:
        journal.put(text(), reply).result()
    with Journal(tmp_path / "j") as journal:
        found = journal.get(key_of(text()))
        assert found is not None
        request, stored = found
        assert request["messages"] == [{"role": "user", "content": "q0"}]
        assert request["model"] == "m"
        assert stored == Reply(reply.text, "length", 7, 9, True, key_of(text()), 0.25)
        assert journal.get("0" * 64) is None
        assert journal.count() == 1


def test_the_first_reply_to_a_key_stays(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.put(text(), Reply("one")).result()
        journal.put(text(), Reply("two")).result()
        stored = journal.reply(key_of(text()))
        assert stored is not None
        assert stored.text == "one"
        assert journal.count() == 1


def test_many_at_once_are_all_there_and_added_up(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        for done in [journal.put(text(n), Reply("x", "stop", 2, 3, seconds=0.5)) for n in range(5000)]:
            done.result()
        costs = journal.costs()
    assert (costs.sent, costs.prompt_tokens, costs.completion_tokens, costs.seconds) == (
        5000,
        10000,
        15000,
        2500,
    )


def test_closing_commits_what_waits(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    for n in range(300):
        journal.put(text(n), Reply("x"))
    journal.close()
    journal.close()
    with Journal(tmp_path / "j", readonly=True) as again:
        assert again.count() == 300
    with pytest.raises(JournalError, match="not open"):
        journal.put(text(), Reply("x")).result()


def test_kill_9_while_writing_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "j"
    process = child(WRITER, path)
    assert process.stdout is not None
    for _ in range(200):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    rest, _ = process.communicate()
    last = int(rest.splitlines()[-1]) if rest.strip() else 199
    with Journal(path) as journal:
        assert journal.count() >= last + 1 >= 200
        for n in range(last + 1):
            stored = journal.reply(key_of(text(n)))
            assert stored is not None
            assert stored.text == f"a{n}" * 50


def test_a_second_process_is_kept_out_and_told_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "j"
    process = child(HOLDER, path)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(JournalError, match=f"in use by process {process.pid}"):
            Journal(path)
        with Journal(path, readonly=True) as looking:
            assert looking.count() == 0
    finally:
        finish(process)
    # The holder was killed, and left its lock file behind.
    Journal(path).close()


def test_the_same_process_cannot_open_it_twice_either(tmp_path: Path) -> None:
    with Journal(tmp_path / "j"), pytest.raises(JournalError, match=f"process {os.getpid()}"):
        Journal(tmp_path / "j")


def test_what_is_no_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.write_text("These are my notes.\n" * 100)
    with pytest.raises(JournalError, match="damaged") as caught:
        Journal(notes)
    assert caught.value.mend
    assert notes.read_text().startswith("These are my notes.")
    other = tmp_path / "other"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(JournalError, match="no journal of this version"):
        Journal(other)


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "j").close()
    connection = sqlite3.connect(tmp_path / "j")
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(JournalError, match="it says 7, not 2"):
        Journal(tmp_path / "j")


@pytest.mark.parametrize("cut", [False, True])
def test_damage_is_noticed_at_the_start(tmp_path: Path, cut: bool) -> None:
    path = tmp_path / "j"
    with Journal(path) as journal:
        for done in [journal.put(text(n), Reply("x" * 500)) for n in range(400)]:
            done.result()
    data = bytearray(path.read_bytes())
    if cut:
        del data[len(data) // 2 :]
    else:
        data[4096 : len(data) // 2] = os.urandom(len(data) // 2 - 4096)
    path.write_bytes(data)
    with pytest.raises(JournalError, match="is damaged") as caught:
        Journal(path)
    assert "recover" in caught.value.mend
    # The failed try let go of its lock.
    path.unlink()
    Journal(path).close()


def test_a_full_disk_is_said_and_what_was_stored_stays(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.put(text(0), Reply("kept")).result()
        # SQLite's own bound on the file gives the very error that a full disk does.
        journal._connection.execute("PRAGMA max_page_count = 20")
        with pytest.raises(JournalError, match="the disk is full") as caught:
            journal.put(text(1), Reply("x" * 200_000)).result()
        assert "Free some space" in caught.value.mend
        journal._connection.execute("PRAGMA max_page_count = 1000000")
        journal.put(text(2), Reply("later")).result()
        assert [journal.reply(key_of(text(n))) is not None for n in range(3)] == [True, False, True]


def test_a_row_that_cannot_be_stored_does_not_take_its_neighbours_along(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        before = [journal.put(text(n), Reply("x")) for n in range(50)]
        bad = journal.put(text(50), Reply("x", "stop", 2**70))
        after = [journal.put(text(n), Reply("\ud800")) for n in range(51, 100)]
        with pytest.raises(JournalError, match="cannot be stored"):
            bad.result()
        for done in before + after:
            done.result()
        assert journal.count() == 99


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="No such file"):
        Journal(tmp_path / "none" / "j")
    with pytest.raises(JournalError, match="cannot be used"):
        Journal(tmp_path / "j", readonly=True)


def test_writing_is_fast_enough_for_any_teacher(tmp_path: Path) -> None:
    began = time.monotonic()
    with Journal(tmp_path / "j") as journal:
        for n in range(3000):
            journal.put(text(n), Reply("x" * 300))
    assert time.monotonic() - began < 20


def test_alternatives_are_kept(tmp_path: Path) -> None:
    alternatives = ((("3", -0.125), (" 2", -2.5)), (("ü\ufffd", -7.0),))
    with Journal(tmp_path / "j") as journal:
        journal.put(text(), Reply("3", alternatives=alternatives)).result()
    with Journal(tmp_path / "j", readonly=True) as journal:
        stored = journal.reply(key_of(text()))
        assert stored is not None
        assert stored.alternatives == alternatives


@pytest.mark.parametrize("key", ["", "x", "abc", "00" * 31, "é" * 64, "0" * 64])
def test_what_is_no_key_is_not_there(tmp_path: Path, key: str) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.put(text(), Reply("x")).result()
        assert journal.reply(key) is None
        assert journal.get(key) is None


def test_a_loop_is_woken_once_for_all_that_were_committed_together(tmp_path: Path) -> None:
    wakes = 0

    async def run(journal: Journal) -> None:
        loop = asyncio.get_running_loop()
        whole = loop.call_soon_threadsafe

        def counted(*given: Any, **named: Any) -> asyncio.Handle:
            nonlocal wakes
            wakes += 1
            return whole(*given, **named)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign]
        await asyncio.gather(*(journal.keep(key_of(text(n)), text(n), Reply("x")) for n in range(500)))
        assert all(journal.reply(key_of(text(n))) for n in range(500))
        # The loop's own way of closing comes through here, too.
        del loop.call_soon_threadsafe

    with Journal(tmp_path / "j") as journal:
        asyncio.run(run(journal))
    assert 1 <= wakes <= 10


def test_one_who_gives_up_waiting_has_its_reply_stored_all_the_same(tmp_path: Path) -> None:
    async def run(journal: Journal) -> None:
        keeping = asyncio.ensure_future(journal.keep(key_of(text()), text(), Reply("x")))
        await asyncio.sleep(0)
        keeping.cancel()
        await journal.keep(key_of(text(1)), text(1), Reply("y"))
        assert keeping.cancelled()

    with Journal(tmp_path / "j") as journal:
        asyncio.run(run(journal))
        assert journal.count() == 2


def test_a_loop_that_is_gone_keeps_nobody_from_storing(tmp_path: Path) -> None:
    async def begun(journal: Journal) -> None:
        for n in range(20):
            keeping = asyncio.ensure_future(journal.keep(key_of(text(n)), text(n), Reply("x")))
            await asyncio.sleep(0)
            keeping.cancel()

    with Journal(tmp_path / "j") as journal:
        asyncio.run(begun(journal))
        journal.put(text(20), Reply("x")).result()
        assert journal.count() == 21


def test_a_loop_hears_of_what_cannot_be_stored(tmp_path: Path) -> None:
    async def run(journal: Journal) -> None:
        good = journal.keep(key_of(text(0)), text(0), Reply("x"))
        bad = journal.keep(key_of(text(1)), text(1), Reply("x", "stop", 2**70))
        outcomes = await asyncio.gather(good, bad, return_exceptions=True)
        assert outcomes[0] is None
        assert "cannot be stored" in str(outcomes[1])
        journal.close()
        with pytest.raises(JournalError, match="not open"):
            await journal.keep(key_of(text(2)), text(2), Reply("x"))

    with Journal(tmp_path / "j") as journal:
        asyncio.run(run(journal))


@pytest.mark.parametrize(
    "bad", [Reply(None), Reply("x", "stop", {}), Reply("x", alternatives=(((b"", 1.0),),))]
)  # type: ignore[arg-type]
def test_a_teachers_nonsense_does_not_stop_the_writing(tmp_path: Path, bad: Reply) -> None:
    with Journal(tmp_path / "j") as journal:
        outcomes = [journal.put(text(n), Reply("x") if n != 5 else bad) for n in range(20)]
        with pytest.raises(JournalError, match="cannot be stored"):
            outcomes[5].result(10)
        for n, done in enumerate(outcomes):
            assert n == 5 or done.result(10) is None
        assert journal.count() == 19


REPLIES = st.builds(
    Reply,
    st.text(),
    st.text(max_size=5),
    st.integers(0, 2**53),
    st.integers(0, 2**53),
    seconds=st.floats(0, 1e6),
    alternatives=st.lists(
        st.lists(st.tuples(st.text(), st.floats(-9999, 0.01)), min_size=1, max_size=3).map(tuple), max_size=3
    ).map(tuple),
)


@settings(deadline=None, max_examples=30)
@given(st.lists(REPLIES, max_size=5))
def test_whatever_is_said_comes_back(replies: list[Reply]) -> None:
    with TemporaryDirectory() as folder, Journal(Path(folder) / "j") as journal:
        for n, reply in enumerate(replies):
            journal.put(text(n), reply).result()
        for n, reply in enumerate(replies):
            assert journal.reply(key_of(text(n))) == replace(reply, stored=True, key=key_of(text(n)))


def test_sums_count_what_is_stored_and_nothing_twice(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        for n in (0, 1, 0, 1, 2):
            journal.put(text(n), Reply("x", "stop", 2, 3, seconds=0.5)).result()
        with pytest.raises(JournalError):
            journal.put(text(3), Reply("x", "stop", 2**70)).result()
        costs = journal.costs()
    assert (costs.sent, costs.prompt_tokens, costs.completion_tokens, costs.seconds) == (3, 6, 9, 1.5)


def test_a_lookup_costs_little_and_the_sums_no_scan(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        for done in [journal.put(text(n), Reply("x" * 2000)) for n in range(3000)]:
            done.result()
        began = time.thread_time()
        for n in range(1000):
            journal.reply(key_of(text(n)))
            journal.reply(key_of(text(-1 - n)))
            journal.costs()
        # Some 30 µs; a scan of this small file alone would take a millisecond.
        assert time.thread_time() - began < 0.4
