"""Which files below a folder are leaves, and what is wrong with how files are named and linked (§3.1)."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from feldspar.taxonomy.problems import START, Findings, Problem, shown
from feldspar.taxonomy.source import why
from feldspar.types import Branch

NAME = "qna.yaml"
BRANCHES: tuple[Branch, ...] = ("knowledge", "foundational_skills", "compositional_skills")
_LONGEST = 60
_NEAR = 0.75
"""How like a branch's name a folder's has to be: `knowledge_in` is .86."""
_LIKE_NAME = re.compile(r"qna[^/]*\.ya?ml", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Met:
    """What a walk came by: a leaf's file, or something that is wrong.

    Names are plain strings: a `Path` keeps a part of each name for the life of the process.
    """

    folder: str
    """As it was found from where the command runs; "" where that is the folder itself."""
    name: str
    root: Path
    """The folder that the walk began at; of a file that was named by itself, the file's folder."""
    inner: str = ""
    """The folder as seen from the root, with `/`; "" for the root."""
    leaf: bool = False
    """Whether it is to be read as a leaf."""
    problems: tuple[Problem, ...] = ()

    @property
    def file(self) -> str:
        """Folder and name."""
        return os.path.join(self.folder, self.name)

    @property
    def path(self) -> Path:
        """The same as a path."""
        return Path(self.folder, self.name)


def walk(root: Path) -> Iterator[Met]:
    """The leaf files below a folder in order, and what is wrong between them.

    Links to folders are not followed, and folders whose name starts with a dot are no part of a taxonomy.
    """
    top = os.fspath(root)
    failed: list[OSError] = []
    told: set[str] | None = set() if set(root.resolve().parts).isdisjoint(BRANCHES) else None
    for folder, folders, files in os.walk(top, onerror=failed.append):
        inner = "" if folder == top else folder[len(os.path.join(top, "")) :]
        here = inner if top == "." else folder
        inner = inner.replace(os.sep, "/")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            problems = _odd_folder(here, name, root)
            if problems:
                yield Met(here, name, root, inner, problems=problems)
        for name in sorted(files):
            if name == NAME:
                branch = inner.partition("/")[0]
                if told is not None and branch not in told:
                    told.add(branch)
                    yield from _misspelt(top, branch, root)
                yield Met(here, name, root, inner, leaf=True)
            elif _LIKE_NAME.fullmatch(name):
                yield Met(here, name, root, inner, problems=_misnamed(here, name))
    for error in failed:
        path = Path(os.fsdecode(error.filename or root))
        found = Findings(shown(path))
        found.error(START, "unreadable", f"this folder {why(error)}", "make it readable, or move it away")
        yield Met(os.path.dirname(path), path.name, root, problems=tuple(found.problems))


def walk_all(paths: Sequence[Path]) -> Iterator[Met]:
    """The leaf files of several files and folders, each once, in the order given.

    A file is met as a leaf whatever its name. A folder without any leaf is a problem.
    """
    seen: set[str] = set()
    for path in paths:
        sound = False
        for met in walk(path) if os.path.isdir(path) else [by_itself(path)]:
            sound = sound or met.leaf or any(problem.severity == "error" for problem in met.problems)
            if len(paths) > 1:
                whole = os.path.abspath(met.file)
                if whole in seen:
                    continue
                seen.add(whole)
            yield met
        if not sound:
            found = Findings(shown(path))
            found.error(START, "empty-taxonomy", f"no {NAME} in this folder or below it", "name another one")
            yield Met(os.path.dirname(path), path.name, path, problems=tuple(found.problems))


def by_itself(path: Path) -> Met:
    """A file that is named without a taxonomy around it: its folder bounds what it may name."""
    return Met(os.path.dirname(path), path.name, path.parent, leaf=True)


def _misnamed(folder: str, name: str) -> tuple[Problem, ...]:
    found = Findings(shown(os.path.join(folder, name)))
    if name.casefold() in (NAME, "qna.yml"):
        told = f"a leaf's file is named {NAME}, not {name}"
        found.error(START, "file-name", told, f"rename it to {NAME}")
    else:
        told = f"{shown(name)} is not read: a leaf's file is named {NAME}"
        mend = f"give it a folder of its own, as {NAME}, or move it away"
        found.warn(START, "file-name", told, mend)
    return tuple(found.problems)


def _misspelt(top: str, name: str, root: Path) -> Iterator[Met]:
    """Tell of a folder with leaves in it that is named nearly like a branch."""
    like = re.sub(r"[\s-]+", "_", name.strip().casefold())
    near = difflib.get_close_matches(like, BRANCHES, n=1, cutoff=_NEAR) if len(name) <= _LONGEST else []
    if near and name not in BRANCHES:
        here = "" if top == "." else top
        found = Findings(shown(os.path.join(here, name)))
        told, mend = f"{shown(name)}/ is no branch of the taxonomy", f"did you mean {near[0]}/?"
        found.warn(START, "branch-name", told, mend)
        yield Met(here, name, root, problems=tuple(found.problems))


def _odd_folder(folder: str, name: str, root: Path) -> tuple[Problem, ...]:
    """What is to say of a folder that is not gone into, though a person could think so."""
    file = os.path.join(folder, name)
    found = Findings(shown(file))
    if os.path.islink(file):
        try:
            inside = Path(file).resolve(strict=True).is_relative_to(root.resolve())
        except (OSError, RuntimeError):
            inside = False
        told = "this link to a folder is not followed"
        if inside:
            found.warn(START, "link", told, "remove it: what it leads to is read where it lies")
        else:
            found.error(START, "link", f"{told}: it leads out of the taxonomy", "copy what it leads to here")
    elif name == NAME:
        found.error(START, "file-name", f"{NAME} is a folder here", f"a leaf is a folder with a file {NAME}")
    return tuple(found.problems)
