"""Killed at any instant, with a full disk, a locked or a damaged journal: nothing is lost or asked twice."""

from __future__ import annotations

import contextlib
import json
import os
import random
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
from tests.lab_project import ENVIRONMENT, Project, feldspar, judged, keys, process, serving, until, write_project

from feldspar.teacher import Journal
from feldspar.teacher.scripted import ScriptedServer

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
    return found + sorted(kept & {"drafts.sqlite", "near.sqlite", "drafts.sqlite-journal"})


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


def test_killed_at_twenty_instants_no_reply_is_paid_for_twice(
    nursery: Nursery, whole: Whole, tmp_path: Path
) -> None:
    project, die, killer, kills = project_in(tmp_path), random.Random(4), Executioner(), 0
    calls = len(whole[1])
    with serving(judged, faults=killer, delay=0.004) as server:
        words = project.words(server, "generate")
        while True:
            committed, asked = set(project.journal() if kills else ()), len(server.bodies)
            killer.seen = killer.child = 0
            # All over the run: in the calibration, the early draws, the middle, the end.
            killer.at, killer.later = die.randint(1, calls // 10), die.uniform(0.0, 0.02)
            killer.child = nursery.start(words, project.run)
            code = nursery.end()
            killer.child = 0
            again = keys(server.bodies[asked:])
            assert not set(again) & committed, f"after kill {kills}"
            assert len(set(again)) == len(again)
            if code != -signal.SIGKILL:
                break
            kills += 1
            assert not (project.run / "2-samples").exists()
    assert code == 0, nursery.told
    assert kills >= 15
    assert project.contents("2-samples") == whole[0].contents("2-samples")
    assert not left_over(project.run)
    # What was in flight when it was killed is lost, and asked again where it is still needed.
    posted, kept = keys(server.bodies), set(project.journal())
    assert kept <= set(posted)
    assert len(posted) - len(kept) <= 4 * kills


def test_killed_at_twenty_touches_of_its_files_a_run_ends_as_if_it_had_not_been(
    nursery: Nursery, whole: Whole, tmp_path: Path
) -> None:
    """Over the opening, the making of scratch files, the writing of the outputs, the renaming."""
    nowhere = "http://127.0.0.1:9/v1"
    rehearsal, project = project_in(tmp_path / "one"), project_in(tmp_path / "two")
    with serving(judged) as server:
        assert nursery.do(rehearsal.words(server, "generate"), rehearsal.run) == 0
        shutil.rmtree(rehearsal.run / "2-samples")
        asked = len(server.bodies)
        assert nursery.do(rehearsal.words(server, "generate"), rehearsal.run) == 0
        touches = nursery.touched
        shutil.rmtree(rehearsal.run / "2-samples")
        die = random.Random(11)
        instants = sorted(die.sample(range(1, touches + 1), 14)) + list(range(touches - 6, touches))
        for number in instants:
            code = nursery.do(rehearsal.words(server, "generate"), rehearsal.run, number)
            if (rehearsal.run / "2-samples").exists():
                assert rehearsal.contents("2-samples") == whole[0].contents("2-samples"), number
                shutil.rmtree(rehearsal.run / "2-samples")
            assert code == -signal.SIGKILL, (number, touches, nursery.told)
        assert nursery.do(rehearsal.words(server, "generate"), rehearsal.run) == 0
        assert len(server.bodies) == asked, "all of it was in the journal"
    assert rehearsal.contents("2-samples") == whole[0].contents("2-samples")
    assert not left_over(rehearsal.run)
