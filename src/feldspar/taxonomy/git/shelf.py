"""The cache of fetched commits: where each lies, who may change it, and how git is run in it.

`git/DIGEST/COMMIT` is a bare repository, renamed into place when it is whole; `names` beside it
keeps what branches, tags and short ids meant. One process at a time changes a repository's folder;
its lock goes with it, however it dies, and what it left half done goes with the next lock.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from feldspar.taxonomy.git.bounded import Bounds, Exceeded
from feldspar.taxonomy.git.names import Pattern, is_whole
from feldspar.taxonomy.git.objects import Limits
from feldspar.taxonomy.git.runner import GitTrouble, Said, git, over

try:
    import fcntl
except ImportError:  # pragma: no cover - no lock where the system has none of this kind
    fcntl = None  # type: ignore[assignment]

_PARTIAL = (".new-", ".old-")


@dataclass(frozen=True, slots=True)
class Job:
    """One `document` in git, and where it is brought."""

    repo: str
    name: str
    """Of the commit, as the leaf has it."""
    patterns: tuple[Pattern, ...]
    protocols: tuple[str, ...]
    folder: Path
    """All that is kept of the repository."""
    limits: Limits
    until: float
    """By `time.monotonic`."""

    def place(self, commit: str) -> Path:
        """A commit's repository."""
        return self.folder / commit


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the name of a commit means."""

    commit: str
    """A full id."""
    moves: bool
    """Whether the name can mean another commit later."""


def folder_of(cache: Path, repo: str) -> Path:
    """Where all that is kept of a repository lies."""
    return cache.absolute() / "git" / hashlib.sha256(repo.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def run(
    job: Job,
    repository: Path,
    arguments: Sequence[str],
    feed: bytes = b"",
    most_bytes: int = 10_000_000,
    network: bool = False,
) -> Said:
    """Run git in a repository of ours, in what is left of the job's time.

    Raises:
        GitTrouble: It is not installed, or a bound was passed.
    """
    # Without `origin` in its configuration, a repository can be read and never sends anything.
    left = max(0.0, job.until - time.monotonic())
    bounds = Bounds(left, most_bytes, repository if network else None, job.limits.disk)
    protocols = job.protocols if network else ()
    try:
        return git(("--git-dir=.", *arguments), cwd=repository, bounds=bounds, feed=feed, protocols=protocols)
    except Exceeded as error:
        raise over(
            error, replace(bounds, seconds=job.limits.seconds), f"git for {job.repo}", "repo"
        ) from None


@contextmanager
def alone(job: Job) -> Iterator[None]:
    """Have a repository's folder to oneself, with what a killed process left half done removed.

    Raises:
        GitTrouble: Another process has had it all the time that there was.
    """
    for folder in (job.folder.parent, job.folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Also where it was there before: what is read of a private repository is its owner's alone.
        folder.chmod(0o700)
    descriptor = os.open(job.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _locked(descriptor):
            if time.monotonic() > job.until:
                what = f"another process has been fetching {job.repo} for {job.limits.seconds:.0f} seconds"
                raise GitTrouble(what, "wait until it is done, or end it", "repo")
            time.sleep(0.05)
        for path in job.folder.iterdir():
            if path.name.startswith(_PARTIAL):
                shutil.rmtree(path, ignore_errors=True)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    if fcntl is None:  # pragma: no cover
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # Some network file systems have no locks: to rename when whole is safe without.
        return True
    return True


@contextmanager
def new(job: Job, length: int = 40) -> Iterator[Path]:
    """An empty repository, gone at the end unless it was put into its place.

    Args:
        job: Whose folder it is made in.
        length: Of the ids of its objects, in hexadecimal digits.
    """
    path = job.folder / f"{_PARTIAL[0]}{secrets.token_hex(8)}"
    path.mkdir(mode=0o700)
    try:
        kind = ("--object-format=sha256",) if length == 64 else ()
        said = run(job, path, ("init", "--quiet", "--bare", "--template=", *kind))
        if said.code:
            raise GitTrouble(f"git cannot make a repository in the cache: {said.told[:200]}")
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def put(job: Job, path: Path, commit: str) -> None:
    """Put a whole repository into a commit's place, instead of one that may be there."""
    place = job.place(commit)
    old = job.folder / f"{_PARTIAL[1]}{secrets.token_hex(8)}"
    with contextlib.suppress(FileNotFoundError):
        os.rename(place, old)
    os.rename(path, place)
    shutil.rmtree(old, ignore_errors=True)


def recall(job: Job) -> Meaning | None:
    """What the name of a commit means, as far as it is known without asking."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(_note(job).read_bytes())
        if kept["name"] == job.name and is_whole(kept["commit"]) and isinstance(kept["moves"], bool):
            return Meaning(kept["commit"], kept["moves"])
    return Meaning(job.name, False) if is_whole(job.name) else None


def remember(job: Job, meaning: Meaning) -> None:
    """Keep what the name of a commit means."""
    note = _note(job)
    note.parent.mkdir(mode=0o700, exist_ok=True)
    part = note.with_suffix(".partial")
    words = {"repo": job.repo, "name": job.name, "commit": meaning.commit, "moves": meaning.moves}
    part.write_text(json.dumps(words) + "\n", encoding="utf-8")
    os.replace(part, note)


def _note(job: Job) -> Path:
    return job.folder / "names" / f"{hashlib.sha256(job.name.encode()).hexdigest()[:40]}.json"
