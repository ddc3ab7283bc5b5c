"""A child process whose time, output, memory and folder are bounded, and that leaves no children.

Threads read what it prints, so that it never waits for us; we look at it every few milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

try:
    import resource
except ImportError:  # pragma: no cover - not on Windows
    resource = None  # type: ignore[assignment]

FOLDER_BYTES = 500_000_000
MOST_BYTES = 64_000_000
_MEMORY = 1 << 30  # bytes of address space, of each process
_FREE = 200_000_000  # bytes that a disk keeps
_ERROR_BYTES = 100_000
_LOOK = 0.02  # seconds between two looks
_CHUNK = 1 << 16

Kind = Literal["time", "output", "folder", "disk"]


class Exceeded(Exception):
    """A bound was passed, and the process killed; `kind` says which."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one process may use; beyond, it is killed with its children."""

    seconds: float = 60.0
    most_bytes: int = MOST_BYTES
    """Of its standard output."""
    folder: Path | None = None
    """One that is watched: its size, and what its disk has left."""
    folder_bytes: int = FOLDER_BYTES


@dataclass(frozen=True, slots=True)
class Done:
    """What a process that ended by itself left."""

    code: int
    out: bytes
    error: bytes
    """The beginning of its standard error."""


@dataclass(slots=True)
class _Kept:
    """What a thread has read of a stream; beyond `most`, it reads on and keeps nothing."""

    most: int
    data: bytearray
    over: bool = False


def run(
    command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], bounds: Bounds, feed: bytes = b""
) -> Done:
    """Run a program to its end, or to its bounds'.

    Args:
        command: The program and its arguments; no shell sees them.
        cwd: Its working folder.
        environment: All of it: nothing of ours is added.
        bounds: See `Bounds`.
        feed: Its standard input.

    Raises:
        Exceeded: It went over a bound.
        OSError, ValueError: It could not be started.
    """
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    fed, told, complained = process.stdin, process.stdout, process.stderr
    assert fed is not None
    assert told is not None
    assert complained is not None
    out, error = _Kept(bounds.most_bytes, bytearray()), _Kept(_ERROR_BYTES, bytearray())
    works = [lambda: _keep(told, out), lambda: _keep(complained, error), lambda: _feed(fed, feed)]
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    try:
        _limit_memory(process.pid)
        for thread in threads:
            thread.start()
        _watch(process, out, bounds)
    finally:
        _kill(process)
        for thread in threads:
            thread.join(timeout=5)
    if any(thread.is_alive() for thread in threads):
        # A grandchild has left the group and holds the pipe: what it may still say is not waited for.
        raise Exceeded("time")
    if out.over:
        raise Exceeded("output")
    _check_folder(bounds)
    return Done(process.returncode, bytes(out.data), bytes(error.data))


def folder_size(folder: Path) -> int:
    """The bytes that a folder's files take, links not followed; what goes away meanwhile counts nothing."""
    total, waiting = 0, [os.fspath(folder)]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        # A name alone takes a block; what is sparse counts in full.
                        told = entry.stat(follow_symlinks=False)
                        total += max(told.st_size, 512 * getattr(told, "st_blocks", 0))
    return total


def _watch(process: subprocess.Popen[bytes], out: _Kept, bounds: Bounds) -> None:
    until = time.monotonic() + bounds.seconds
    while True:
        left = until - time.monotonic()
        if left <= 0:
            raise Exceeded("time")
        try:
            process.wait(timeout=min(_LOOK, left))
        except subprocess.TimeoutExpired:
            pass
        else:
            return
        if out.over:
            raise Exceeded("output")
        _check_folder(bounds)


def _check_folder(bounds: Bounds) -> None:
    if bounds.folder is None:
        return
    if folder_size(bounds.folder) > bounds.folder_bytes:
        raise Exceeded("folder")
    with contextlib.suppress(OSError):
        if shutil.disk_usage(bounds.folder).free < _FREE:
            raise Exceeded("disk")


def _keep(stream: IO[bytes], kept: _Kept) -> None:
    with contextlib.suppress(OSError, ValueError), stream:
        while data := os.read(stream.fileno(), _CHUNK):
            room = kept.most - len(kept.data)
            kept.data += data[:room]
            kept.over = kept.over or len(data) > room


def _feed(stream: IO[bytes], data: bytes) -> None:
    # A process that reads no further has said, or will say, why.
    with contextlib.suppress(OSError, ValueError), stream:
        stream.write(data)


def _limit_memory(pid: int) -> None:
    """Bound each process of the group, where the system can do it from outside (Linux)."""
    if resource is None or not hasattr(resource, "prlimit"):
        return
    # It may have ended already, or have less than this.
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
        most = _MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard)
        resource.prlimit(pid, resource.RLIMIT_AS, (most, hard))


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole group, also what a process that has ended by itself left running."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:  # pragma: no cover - Windows
            process.kill()
    process.wait()
