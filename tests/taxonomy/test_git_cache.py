"""What is kept of a repository: private, whole or absent, made anew where damaged, one writer at a time."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.taxonomy.git_world import Handler, World, git, serving, smart, trouble

import feldspar.taxonomy.git
from feldspar.taxonomy.git import Limits, fetch

SRC = Path(feldspar.taxonomy.git.__file__).parents[3]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_cache_is_its_owners_alone(world: World) -> None:
    (world.cache / "git").mkdir(parents=True)
    (world.cache / "git").chmod(0o755)
    world.get("main")
    folder = next((world.cache / "git").iterdir())
    for path in (world.cache / "git", folder, *folder.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.parametrize("harm", ["cut", "flipped", "gone", "emptied", "head"])
def test_a_damaged_cache_is_made_anew(world: World, harm: str) -> None:
    good = world.text(world.third)
    place = next(world.cache.glob(f"git/*/{world.third}"))
    for pack in place.glob("objects/pack/*.pack"):
        pack.chmod(0o600)
        data = bytearray(pack.read_bytes())
        if harm == "cut":
            pack.write_bytes(data[: len(data) // 2])
        elif harm == "flipped":
            data[len(data) // 2] ^= 0xFF
            pack.write_bytes(data)
        elif harm == "gone":
            pack.unlink()
    if harm == "emptied":
        for path in sorted(place.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    elif harm == "head":
        (place / "HEAD").write_text("nonsense")
    assert world.text(world.third, offline=True) in (None, good)
    assert world.text(world.third) == good
    assert world.text(world.third, offline=True) == good


def test_a_file_whose_bytes_are_not_what_its_id_says_is_noticed(world: World) -> None:
    """An object of right form and wrong content: git itself does not look."""
    good = world.text(world.third, "docs/a.md")
    place = next(world.cache.glob(f"git/*/{world.third}"))
    oid = git(world.work, "rev-parse", f"{world.third}:docs/a.md")
    wrong = git(world.work, "hash-object", "-w", "--stdin", feed=b"wrong\n")
    loose = (world.work / ".git" / "objects" / wrong[:2] / wrong[2:]).read_bytes()
    for pack in place.glob("objects/pack/*"):
        git(world.work, "unpack-objects", "-q", feed=pack.read_bytes()) if pack.suffix == ".pack" else None
        pack.unlink()
    for path in (world.work / ".git" / "objects").glob("??/*"):
        copy = place / "objects" / path.parent.name / path.name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(loose if path.parent.name + path.name == oid else path.read_bytes())
    assert git(place, "cat-file", "blob", oid) == "wrong"
    assert world.text(world.third, "docs/a.md", offline=True) is None
    assert world.text(world.third, "docs/a.md") == good


def test_damaged_notes_are_asked_for_again(world: World) -> None:
    world.get("main")
    (note,) = world.cache.glob("git/*/names/*.json")
    for text in ("", "{", "[]", '{"name": "main", "commit": "--x", "moves": true}', "\0"):
        note.write_text(text)
        assert world.get("main", offline=True) is None
        assert world.text("main", "docs/a.md") == {"docs/a.md": "three\n"}
    assert json.loads(note.read_text())["commit"] == world.third


PROGRAM = """
import sys
from pathlib import Path
from feldspar.taxonomy.git import fetch
got = fetch(sys.argv[1], sys.argv[2], ["docs/a.md"], cache=Path(sys.argv[3]))
print(got.files[0].data.decode().strip())
"""


def another(world: World, url: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    command = [sys.executable, "-c", PROGRAM, url, world.third, str(world.cache)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_two_processes_at_once_fetch_once(world: World) -> None:
    serve, began = smart(world.bare.parent), threading.Event()

    def slow(handler: Handler) -> None:
        began.set()
        time.sleep(0.3)
        serve(handler)

    with serving(slow) as server:
        url = f"{server.url}/r.git"
        processes = [another(world, url) for _ in range(2)]
        said = [process.communicate(timeout=30)[0].strip() for process in processes]
        assert said == ["three", "three"]
        assert len(server.requests) == 2, server.requests


def test_a_process_killed_in_the_middle_leaves_nothing_that_counts(world: World) -> None:
    serve, halted = smart(world.bare.parent), threading.Event()
    hang = True

    def answer(handler: Handler) -> None:
        if hang and handler.command == "POST":
            halted.set()
            time.sleep(0.5)
            return
        serve(handler)

    with serving(answer) as server:
        url = f"{server.url}/r.git"
        process = another(world, url)
        assert halted.wait(20)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        (folder,) = (world.cache / "git").iterdir()
        assert [path.name[:5] for path in folder.iterdir() if path.name != "lock"] == [".new-"]
        assert world.text(world.third, "docs/a.md", url=url, offline=True) is None
        hang = False
        assert world.text(world.third, "docs/a.md", url=url) == {"docs/a.md": "three\n"}
        assert sorted(path.name for path in folder.iterdir()) == sorted([world.third, "lock"])


def test_who_waits_too_long_for_another_process_says_so(world: World) -> None:
    fcntl = pytest.importorskip("fcntl")
    world.get(world.first)
    with next(world.cache.glob("git/*/lock")).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert world.text(world.first, "docs/a.md") == {"docs/a.md": "one\n"}
        late = trouble(
            lambda: fetch(world.url, world.third, ["*.md"], cache=world.cache, limits=Limits(seconds=0.2))
        )
    assert "another process" in late.what


def test_a_cache_that_cannot_be_made_is_named(world: World) -> None:
    (world.root / "file").write_text("")
    world.cache = world.root / "file"
    assert "cannot be used" in trouble(lambda: world.get(world.first)).what
