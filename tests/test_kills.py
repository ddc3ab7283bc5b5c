"""Killed at any instant, with a full disk, a locked or a damaged journal: nothing is lost or asked twice."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.lab_project import (
    ENVIRONMENT,
    Project,
    feldspar,
    is_verdict,
    judged,
    keys,
    process,
    serving,
    until,
    write_project,
)

from feldspar.teacher import Journal
from feldspar.verbs import INTERRUPTED

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

NURSERY = """
import json, os, signal, sys
from feldspar import cli, lab, stages
from feldspar.teacher import http, journaled
import aiohttp.client, pydantic, sqlite3, tokenizers, rapidfuzz, yaml

def deadly(folder, number):
    "Ends this process as kill -9 does, at the so manieth touch of a file of the run."
    left = [number]
    def hook(event, arguments):
        if event in TOUCHES and any(isinstance(a, str) and a.startswith(folder) for a in map(str, arguments)):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    return left

TOUCHES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "sqlite3.connect", "shutil.rmtree"}
for line in sys.stdin:
    words, folder, number = json.loads(line)
    child = os.fork()
    if not child:
        sys.stdout = sys.stderr = open(os.path.join(os.environ["TOLD"], "told"), "w")
        left = deadly(folder, number or 10**9)
        code = cli.main(words)
        sys.stdout.flush()
        with open(os.path.join(os.environ["TOLD"], "touched"), "w") as file:
            file.write(str((number or 10**9) - left[0]))
        os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""A process that has loaded everything, and has a child run each command: twenty of them in seconds."""


@dataclass
class Nursery:
    """Where commands are run in processes that may be killed."""

    running: subprocess.Popen[str]
    folder: Path
    _child: list[int] = field(default_factory=list)

    def start(self, words: list[str], run: Path, kill_at: int = 0) -> int:
        """A command's process; `kill_at`: the touch of a file under `run` at which it is killed."""
        assert self.running.stdin is not None
        assert self.running.stdout is not None
        self.running.stdin.write(json.dumps([words, str(run), kill_at]) + "\n")
        self.running.stdin.flush()
        return int(self.running.stdout.readline())

    def end(self) -> int:
        """How the command ended: its exit code, or the signal with a minus."""
        assert self.running.stdout is not None
        return int(self.running.stdout.readline())

    def do(self, words: list[str], run: Path, kill_at: int = 0) -> int:
        self.start(words, run, kill_at)
        return self.end()

    @property
    def told(self) -> str:
        return (self.folder / "told").read_text()

    @property
    def touched(self) -> int:
        """How often the command touched a file of its run."""
        return int((self.folder / "touched").read_text())


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    folder = tmp_path_factory.mktemp("nursery")
    command = [sys.executable, "-c", NURSERY]
    environment = {**ENVIRONMENT, "TOLD": str(folder)}
    with subprocess.Popen(
        command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        yield Nursery(running, folder)
        assert running.stdin is not None
        running.stdin.close()
        running.wait(timeout=20)


def project_in(folder: Path) -> Project:
    project = write_project(folder, folder / "no-student")
    recipe = project.recipe.read_text().replace("pack: small", "pack: default")
    project.recipe.write_text(recipe.replace('"knowledge/*": 9', '"knowledge/*": {per_passage: 2}'))
    return project


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[dict[str, Any]]]:
    """An undisturbed run, and what its teacher was asked."""
    project = project_in(tmp_path_factory.mktemp("whole"))
    with serving(judged) as server:
        told = feldspar(*project.words(server, "generate"))
        assert told.code == 0, told.err
        return project, server.bodies


Whole = tuple[Project, list[dict[str, Any]]]


def left_over(run: Path) -> list[str]:
    """What only a run under way has."""
    found = [path.name for path in run.rglob("*") if path.is_file() and path.parent.name != "2-samples"]
    found = [name for name in found if "partial" in name or "drafts" in name or "near" in name]
    kept = {path.name for path in (run / "2-samples").iterdir()}
    return found + sorted(kept & {"drafts.sqlite", "near.index", "drafts.sqlite-journal"})


@dataclass
class Executioner:
    """Kills a process the moment that its server gets its so manieth request, or a little later."""

    at: int = 0
    later: float = 0.0
    """Seconds."""
    child: int = 0
    seen: int = 0

    def __call__(self, number: int, _: dict[str, Any]) -> None:
        self.seen += 1
        if self.child and self.seen == self.at:
            threading.Timer(self.later, os.kill, (self.child, signal.SIGKILL)).start()


def committed(project: Project, aside: Path) -> set[str]:
    """The keys in the journal as a kill left it: read from a copy, so that nothing is mended by reading."""
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for path in project.run.glob("journal.sqlite*"):
        shutil.copy(path, aside)
    if not (aside / "journal.sqlite").exists():
        return set()
    with contextlib.closing(sqlite3.connect(aside / "journal.sqlite")) as connection:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        rows = connection.execute("SELECT key FROM replies").fetchall() if tables else []
    return {key.hex() for (key,) in rows}


def test_killed_at_twenty_instants_no_reply_is_paid_for_twice(
    nursery: Nursery, whole: Whole, tmp_path: Path
) -> None:
    project, die, killer = project_in(tmp_path), random.Random(4), Executioner()
    calls, parts = len(whole[1]), set[str]()
    rated = next(number for number, body in enumerate(whole[1]) if not is_verdict(body))
    with serving(judged, faults=killer, delay=0.004) as server:
        words = project.words(server, "generate")
        for kills in range(21):
            kept, asked = committed(project, tmp_path / "aside"), len(server.bodies)
            # All over the run: in the calibration, the early draws, the middle, the end.
            killer.seen, killer.at = 0, die.randint(1, calls // 10) if kills < 20 else 0
            killer.later = die.uniform(0.0, 0.02)
            killer.child = nursery.start(words, project.run)
            code = nursery.end()
            killer.child = 0
            again = keys(server.bodies[asked:])
            assert not set(again) & kept, f"after kill {kills}"
            assert len(set(again)) == len(again)
            if code != -signal.SIGKILL:
                break
            parts.add("calibration" if len(kept) < rated else "early" if len(kept) < rated + 30 else "later")
            assert not (project.run / "2-samples").exists()
    assert code == 0, nursery.told
    assert kills >= 12
    assert parts == {"calibration", "early", "later"}
    assert project.contents("2-samples") == whole[0].contents("2-samples")
    assert not left_over(project.run)
    assert set(project.journal()) <= set(keys(server.bodies))


def test_killed_at_twenty_touches_of_its_files_a_run_ends_as_if_it_had_not_been(
    nursery: Nursery, whole: Whole, tmp_path: Path
) -> None:
    """Over the opening, the making of scratch files, the writing of the outputs, the renaming."""
    project = project_in(tmp_path)
    with serving(judged) as server:
        assert nursery.do(project.words(server, "generate"), project.run) == 0
        shutil.rmtree(project.run / "2-samples")
        assert nursery.do(project.words(server, "generate"), project.run) == 0
        touches, asked = nursery.touched, len(server.bodies)
        shutil.rmtree(project.run / "2-samples")
        die = random.Random(11)
        instants = sorted(die.sample(range(1, touches + 1), 14)) + list(range(touches - 6, touches))
        for number in instants:
            code = nursery.do(project.words(server, "generate"), project.run, number)
            if (project.run / "2-samples").exists():
                assert project.contents("2-samples") == whole[0].contents("2-samples"), number
                shutil.rmtree(project.run / "2-samples")
            assert code == -signal.SIGKILL, (number, touches, nursery.told)
        assert nursery.do(project.words(server, "generate"), project.run) == 0
        assert len(server.bodies) == asked, "all of it was in the journal"
    assert project.contents("2-samples") == whole[0].contents("2-samples")
    assert not left_over(project.run)


def test_an_interrupted_run_leaves_no_scratch_file_and_goes_on(whole: Whole, tmp_path: Path) -> None:
    project = project_in(tmp_path)
    with serving(judged, delay=0.15) as server:
        words = project.words(server, "generate")
        running = process(*words)
        until(lambda: server.answered > 70, running)
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=20)
        assert running.returncode == INTERRUPTED
        assert "Traceback" not in told
        assert not list(project.run.rglob("*drafts*")) + list(project.run.rglob("*near*"))
        kept, asked = set(project.journal()), len(server.bodies)
        assert len(kept) > 60
        assert feldspar(*words).code == 0
        assert not set(keys(server.bodies[asked:])) & kept
    assert project.contents("2-samples") == whole[0].contents("2-samples")


@dataclass(frozen=True)
class Disk:
    """A small disk, mounted where a run will be."""

    place: Path

    def resize(self, kib: int) -> None:
        subprocess.run(
            ["mount", "-o", f"remount,size={kib}k", str(self.place)], check=True, capture_output=True
        )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    place = tmp_path / "project" / "run"
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no disk can be mounted here")
    except OSError:
        pytest.skip("no disk can be mounted here")
    try:
        yield Disk(place)
    finally:
        subprocess.run(["umount", str(place)], check=True)


def named(told: str) -> str:
    """The file that an error for a person names as the one that there was no room for."""
    what, mend = told.strip().splitlines()
    assert "full" in what or "SQLITE_IOERR" in what, told
    assert "again" in mend, told
    return re.findall(r"/run/(\S+?)[: ]", what)[0]


def test_a_disk_that_is_full_again_and_again_loses_no_reply(
    nursery: Nursery, whole: Whole, tmp_path: Path, disk: Disk
) -> None:
    project, size, places = project_in(tmp_path / "project"), 64, []
    with serving(judged) as server:
        words = project.words(server, "generate")
        while True:
            kept, asked = committed(project, tmp_path / "aside"), len(server.bodies)
            code = nursery.do(words, project.run)
            assert not set(keys(server.bodies[asked:])) & kept, size
            assert kept <= committed(project, tmp_path / "aside")
            if code == 0:
                break
            assert code == 1, nursery.told
            places.append(named(nursery.told))
            size = size * 7 // 5
            disk.resize(size)
    assert places.count("journal.sqlite") > 4
    assert project.contents("2-samples") == whole[0].contents("2-samples")
    assert not left_over(project.run)


def test_a_disk_without_room_for_scratch_files_or_outputs_is_named_and_all_is_well_once_there_is(
    nursery: Nursery, whole: Whole, tmp_path: Path, disk: Disk
) -> None:
    project, places = project_in(tmp_path / "project"), set()
    size = (whole[0].run / "journal.sqlite").stat().st_size // 1024 + 40
    disk.resize(size)
    shutil.copy(whole[0].run / "journal.sqlite", project.run)
    with serving(judged) as server:
        words = project.words(server, "generate")
        shutil.copy(whole[0].run / "recipe.yaml", project.run)
        while code := nursery.do(words, project.run):
            assert code == 1, nursery.told
            places.add(named(nursery.told))
            size += 16
            disk.resize(size)
    assert places >= {"2-samples.partial/near.index", "2-samples.partial/drafts.sqlite"}
    assert project.contents("2-samples") == whole[0].contents("2-samples")
    assert not left_over(project.run)


def finished(folder: Path, whole: Whole) -> Project:
    """A project whose samples are to be made again out of the journal of a run that was whole."""
    project = project_in(folder)
    project.run.mkdir()
    for name in ("journal.sqlite", "recipe.yaml"):
        shutil.copy(whole[0].run / name, project.run)
    return project


def test_a_journal_that_another_process_holds_is_named_and_left_alone(whole: Whole, tmp_path: Path) -> None:
    project = finished(tmp_path / "held", whole)
    with serving(judged) as server:
        words = project.words(server, "generate")
        with Journal(project.run / "journal.sqlite") as other:
            before = other.count()
            told = feldspar(*words)
            assert (told.code, other.count(), len(server.bodies)) == (1, before, 0)
        assert f"journal.sqlite is in use by process {os.getpid()}" in told.err
        assert "Traceback" not in told.err
        assert feldspar(*words).code == 0
    assert project.contents("2-samples") == whole[0].contents("2-samples")


def test_a_second_command_in_the_same_run_is_told_of_the_first(whole: Whole, tmp_path: Path) -> None:
    project = project_in(tmp_path / "two")
    with serving(judged, delay=0.1) as server:
        words = project.words(server, "generate")
        first = process(*words)
        until(lambda: server.answered > 3, first)
        told = feldspar(*words)
        assert told.code == 1
        assert f"another feldspar (process {first.pid}) is at work" in told.err
        _, said = first.communicate(timeout=60)
        assert first.returncode == 0, said
    assert project.contents("2-samples") == whole[0].contents("2-samples")


def overwritten_page(journal: Path) -> None:
    """Noise over a page in the middle, as a failing disk leaves it."""
    with journal.open("r+b") as file:
        file.seek(journal.stat().st_size // 8192 * 4096)
        file.write(random.Random(3).randbytes(4096))


def overwritten_reply(journal: Path) -> None:
    """Another letter in each reply that has the word: all is well as far as SQLite can see."""
    whole = journal.read_bytes()
    assert b" verse" in whole
    with journal.open("r+b") as file:
        file.write(whole.replace(b" verse", b" worse"))


def cut_short(journal: Path) -> None:
    with journal.open("r+b") as file:
        file.truncate(journal.stat().st_size // 8192 * 4096)


@pytest.mark.parametrize("damage", [overwritten_page, overwritten_reply, cut_short])
def test_a_damaged_journal_is_named_and_nothing_of_it_is_overwritten(
    damage: Callable[[Path], None], whole: Whole, tmp_path: Path
) -> None:
    project = finished(tmp_path / "damaged", whole)
    journal = project.run / "journal.sqlite"
    damage(journal)
    before = journal.read_bytes()
    with serving(judged) as server:
        words = project.words(server, "generate")
        told = feldspar(*words)
        assert told.code == 1
        assert "journal.sqlite is damaged" in told.err
        assert "move it away" in told.err
        assert "Traceback" not in told.err
        assert journal.read_bytes() == before
        assert not (project.run / "2-samples").exists()
        # As the error says: a copy put back, or what is missing asked for again.
        journal.rename(project.run / "journal.damaged")
        assert feldspar(*words).code == 0
    assert (project.run / "journal.damaged").read_bytes() == before
    assert project.contents("2-samples") == whole[0].contents("2-samples")
