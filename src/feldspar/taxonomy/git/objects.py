"""A commit's files out of a git repository on this disk; nothing of it is ever checked out.

The names come from the commit's trees, the contents from its objects, whose sizes are known before
they are read and whose ids are computed again: damage is noticed, never handed on.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from feldspar.taxonomy.git.names import Pattern
from feldspar.taxonomy.git.runner import GitTrouble, Said
from feldspar.text import escaped

_LISTED = 64_000_000  # bytes of names: half a million files
_MAX_PATH = 4096
_LINK = "120000"
_LFS = b"version https://git-lfs.github.com/spec/"

Ask = Callable[[Sequence[str], bytes, int], Said]
"""Runs git in the repository: arguments, standard input, the most bytes that it may print."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one leaf may take from one repository."""

    seconds: float = 30.0
    """For all that git does."""
    disk: int = 500_000_000
    """Bytes of the commit's folder in the cache, while fetching too."""
    files: int = 1000
    file_bytes: int = 20_000_000
    all_bytes: int = 200_000_000


@dataclass(frozen=True, slots=True)
class GitFile:
    """A file of a commit."""

    path: str
    """From the repository's root, with / between folders."""
    data: bytes


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: str
    object: str


class Unfit(Exception):
    """The repository does not hold what it should: `missing` objects, or, without, it is damaged."""

    def __init__(self, missing: tuple[str, ...] = ()) -> None:
        super().__init__(f"{len(missing)} missing")
        self.missing = missing


def read_files(
    ask: Ask, commit: str, patterns: Sequence[Pattern], limits: Limits, until: float
) -> tuple[GitFile, ...]:
    """The files of a commit that the patterns mean, by path.

    Args:
        ask: Runs git in the repository.
        commit: A full id.
        patterns: Each must mean one file at least.
        limits: In files and bytes.
        until: By `time.monotonic`, for comparing names.

    Raises:
        GitTrouble: A pattern means nothing, or what may not be read; or it is too much.
        Unfit: The repository lacks some of it, or is damaged.
    """
    said = ask(("ls-tree", "-r", "-z", "--full-tree", commit), b"", _LISTED)
    if said.code:
        raise Unfit
    chosen = _choose(_entries(said.out), patterns, limits, until)
    ids = tuple(dict.fromkeys(entry.object for entry in chosen.values()))
    _check_sizes(_sizes(ask, ids), chosen, limits)
    data = dict(_contents(ask, ids, limits.all_bytes))
    for path, entry in chosen.items():
        if data[entry.object].startswith(_LFS) and len(data[entry.object]) < 1024:
            what = f"{path[:200]} is kept in Git LFS: the commit holds only a pointer to it"
            raise GitTrouble(what, "download it, and name it with `paths`", "patterns")
    return tuple(GitFile(path, data[entry.object]) for path, entry in chosen.items())


def _entries(listed: bytes) -> dict[str, _Entry]:
    """Path to entry, in the order of paths; submodules are passed over."""
    entries = {}
    for line in listed.split(b"\0"):
        told, _, path = line.partition(b"\t")
        if not path:
            continue
        try:
            mode, kind, oid = told.decode("ascii").split(" ")
        except ValueError:
            raise Unfit from None
        if kind == "blob":
            # A name that is no UTF-8 can be in nobody's way, and is refused where it is asked for.
            entries[path.decode("utf-8", "surrogateescape")] = _Entry(mode, oid)
    return entries


def _choose(
    entries: dict[str, _Entry], patterns: Sequence[Pattern], limits: Limits, until: float
) -> dict[str, _Entry]:
    paths: set[str] = set()
    for pattern in patterns:
        literal = pattern.literal
        meant = {literal} & entries.keys() if literal is not None else _meant(pattern, entries, until)
        if not meant:
            raise GitTrouble(
                f"{escaped(pattern.text)!r} names no file", _instead(pattern, entries), "patterns"
            )
        paths |= meant
        if len(paths) > limits.files:
            what = f"the patterns name more than {limits.files:,} files"
            raise GitTrouble(what, "write narrower patterns", "patterns")
    for path in sorted(paths):
        why, mend = "", "name other files, one by one"
        if not path.isprintable() or "\\" in path or ".." in path.split("/"):
            why = "has a name that no document may have"
        elif entries[path].mode == _LINK:
            why, mend = "is a symbolic link, and none is followed", "name the file that it leads to"
        if why:
            raise GitTrouble(f"{escaped(path[:200])!r} {why}", mend, "patterns")
    return {path: entries[path] for path in sorted(paths)}


def _meant(pattern: Pattern, entries: dict[str, _Entry], until: float) -> set[str]:
    meant = set()
    for path in entries:
        if time.monotonic() > until:
            what = f"{escaped(pattern.text)!r} takes too long to compare with {len(entries):,} names"
            raise GitTrouble(what, "write fewer and simpler patterns", "patterns")
        # Longer ones can be in no folder, and take their square of time.
        if len(path) <= _MAX_PATH and pattern.matches(path):
            meant.add(path)
    return meant


def _instead(pattern: Pattern, entries: dict[str, _Entry]) -> str:
    """What a person may have meant by a pattern that means nothing."""
    if not entries:
        return "the commit has no files"
    folder = f"{pattern.literal}/"
    if any(path.startswith(folder) for path in entries):
        folder = escaped(folder)
        return f"it is a folder: write {folder}*.md, or {folder}**/*.md for those below it too"
    from rapidfuzz import process

    near = process.extract(pattern.text, [escaped(path) for path in list(entries)[:20_000]], limit=4)
    return "some files that are there: " + ", ".join(path[:100] for path, _, _ in near)


def _sizes(ask: Ask, ids: Sequence[str]) -> dict[str, int]:
    """The size of each object in bytes, without reading any."""
    feed = "".join(f"{oid}\n" for oid in ids).encode("ascii")
    said = ask(("cat-file", "--batch-check", "--buffer"), feed, 200 * len(ids) + 1000)
    sizes, missing = {}, []
    for line in said.out.decode("ascii", "replace").splitlines():
        match line.split(" "):
            case [oid, "blob", size] if size.isdecimal():
                sizes[oid] = int(size)
            case [oid, "missing"]:
                missing.append(oid)
    if missing:
        raise Unfit(tuple(missing))
    if said.code or sizes.keys() != set(ids):
        raise Unfit
    return sizes


def _check_sizes(sizes: dict[str, int], chosen: dict[str, _Entry], limits: Limits) -> None:
    mend = "take it out of the patterns"
    for path, entry in chosen.items():
        size = sizes[entry.object]
        if size > limits.file_bytes:
            what = f"{path[:200]} has {size:,} bytes, more than the {limits.file_bytes:,} that are read"
            raise GitTrouble(what, mend, "patterns")
    total = sum(sizes[entry.object] for entry in chosen.values())
    if total > limits.all_bytes:
        what = f"the patterns name {total:,} bytes, more than the {limits.all_bytes:,} that are read"
        raise GitTrouble(what, "write narrower patterns", "patterns")


def _contents(ask: Ask, ids: Sequence[str], most: int) -> Iterator[tuple[str, bytes]]:
    feed = "".join(f"{oid}\n" for oid in ids).encode("ascii")
    said = ask(("cat-file", "--batch", "--buffer"), feed, most + 200 * len(ids))
    at = 0
    for oid in ids:
        end = said.out.find(b"\n", at)
        head = said.out[at:end].decode("ascii", "replace").split(" ")
        if said.code or end < 0 or len(head) != 3 or head[0] != oid or not head[2].isdecimal():
            raise Unfit
        at = end + 1 + int(head[2]) + 1
        data = said.out[end + 1 : at - 1]
        name = "sha1" if len(oid) == 40 else "sha256"
        seen = hashlib.new(name, b"blob %d\0" % len(data), usedforsecurity=False)
        seen.update(data)
        if seen.hexdigest() != oid:
            raise Unfit
        yield oid, data
