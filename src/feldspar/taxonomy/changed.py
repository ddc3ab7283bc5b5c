"""Which leaves differ from a git revision, in the work tree, committed or not (`check --base`).

git is asked for names alone, in plumbing questions: what the index holds otherwise than the revision, what
the work tree holds otherwise than the index, what is untracked and not ignored, and where other
repositories lie within. The repository may be a stranger's: `git.run_git` sees to it that nothing runs that
its configuration names, filters included.

A leaf differs if a file of its folder does, its documents and its attribution among them, unless the
file is nearer to another leaf. Where it cannot be told, as for the content of a repository inside a
leaf's folder, the leaf counts as one that differs: to check too much is the safe mistake.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from feldspar.errors import TaxonomyError
from feldspar.taxonomy.git import GitTrouble, run_git
from feldspar.taxonomy.problems import shown

_LEAF = "qna.yaml"
_ATTRIBUTION = "attribution.txt"
_MOST_BYTES = 64_000_000
"""Of names: about half a million files."""
_SECONDS = 9.0
"""For a question, which takes milliseconds; looking at the work tree gets a millisecond a file more."""
_MOST_REPOSITORIES = 100
"""Within one another; of those beyond, every leaf is checked."""


@dataclass(slots=True)
class _Differences:
    """What differs, as far as the repositories were asked; paths are absolute, without links."""

    files: set[str] = field(default_factory=set)
    above: set[str] = field(default_factory=set)
    """The folders above them."""
    leaves: set[str] = field(default_factory=set)
    """The folders of the leaves that differ."""
    bases: dict[str, str | None] = field(default_factory=dict)
    """Each repository's folder, and the commit it was compared with. "": all of it differs. None: nothing
    of it does, for it is ignored."""
    within: dict[str, str | None] = field(default_factory=dict)
    """Each folder met, and the folder of the repository that it lies in."""


def changed_leaves(paths: Sequence[Path], revision: str) -> Callable[[Path], bool]:
    """Ask git what differs from a revision.

    Args:
        paths: What is to be checked: leaf files, and folders that hold some. Missing ones are passed over.
        revision: Whatever names a commit, in each repository that the paths lie in. Within a submodule
            it means the commit that the outer repository held there.

    Returns:
        Whether a leaf's file below the paths is of a leaf that differs; of anything else, whether it
        differs itself or something below it does. What is missing always does.

    Raises:
        TaxonomyError: A path lies in no repository, there is no such revision, or git cannot be run.
    """
    if not revision or revision.startswith("-"):
        raise TaxonomyError(
            f"--base: {revision[:100]!r} is no revision" if revision else "--base names no revision",
            "Name a commit, a branch or a tag, as in `--base origin/main`.",
        )
    found = _Differences()
    folders: dict[str, list[str]] = {}
    for path in paths:
        if os.path.lexists(path):
            folder = os.path.realpath(path if os.path.isdir(path) else path.parent)
            repository = _nearest(folder, ".git", found.within)
            if repository is None:
                raise TaxonomyError(
                    f"--base: {shown(path)} is in no git repository",
                    "Leave --base out, to check every leaf.",
                )
            folders.setdefault(repository, []).append(folder)
    for repository, inside in folders.items():
        try:
            folder = os.path.commonpath(inside)
            top = _top(folder)
            commit = _commit(top, revision)
            _compare(folder, top, commit, found)
        except GitTrouble as trouble:
            what = f"--base: {shown(Path(repository))} cannot be compared: {trouble.what}"
            mend = trouble.mend or "Mend the repository, or leave --base out, to check every leaf."
            raise TaxonomyError(what, mend) from None
        found.bases[repository] = commit

    def differs(path: Path) -> bool:
        return _differs(path, found)

    return differs


def _differs(path: Path, found: _Differences) -> bool:
    folder = os.path.realpath(path.parent)
    repository = _nearest(folder, ".git", found.within)
    if repository is None:
        return True
    if repository not in found.bases:
        _enter(repository, found)
    if found.bases[repository] == "" or folder in found.leaves:
        return True
    # What a link leads to can lie beside another leaf.
    beside = [os.path.join(folder, name) for name in (path.name, _ATTRIBUTION)]
    if beside[0] in found.files or beside[0] in found.above or not os.path.lexists(path):
        return True
    return any(os.path.realpath(file) in found.files for file in beside)


def _nearest(folder: str, name: str, known: dict[str, str | None]) -> str | None:
    """The nearest folder, itself or above, that holds a file or folder of that name."""
    climbed = []
    while folder not in known:
        climbed.append(folder)
        above = os.path.dirname(folder)
        if os.path.lexists(os.path.join(folder, name)):
            known[folder] = folder
        elif above == folder:
            known[folder] = None
        else:
            folder = above
    known.update(dict.fromkeys(climbed, known[folder]))
    return known[folder]


def _enter(repository: str, found: _Differences) -> None:
    """Compare a repository that lies within another: with what the other's revision held there."""
    found.bases[repository] = ""
    outer = _nearest(os.path.dirname(repository), ".git", found.within)
    if outer is None or len(found.bases) > _MOST_REPOSITORIES:
        return
    if outer not in found.bases:
        _enter(outer, found)
    base = found.bases[outer]
    if base is None or (base and repository not in found.files):
        found.bases[repository] = None
    elif base:
        try:
            found.bases[repository] = _compare_within(outer, base, repository, found)
        except (GitTrouble, TaxonomyError):
            # All of it is checked, then.
            return


def _compare_within(outer: str, base: str, repository: str, found: _Differences) -> str:
    """The commit that a repository was compared with; "" where the outer one held none there."""
    inner = os.path.relpath(repository, top := _top(outer))
    entry = _ask(top, "ls-tree", "-z", base, "--", inner)
    if not entry.startswith(b"160000 commit ") or _top(repository) != repository:
        return ""
    commit = _resolved(repository, entry.split()[2].decode("ascii"))
    _compare(repository, repository, commit, found)
    return commit


def _top(folder: str) -> str:
    """The work tree that a folder lies in."""
    return os.fsdecode(_ask(folder, "rev-parse", "--show-toplevel").removesuffix(b"\n"))


def _commit(top: str, revision: str) -> str:
    try:
        return _resolved(top, revision)
    except GitTrouble:
        # Said below, once it is known whether there is any commit.
        pass
    name = f"--base: there is no revision {revision[:100]!r} in {shown(Path(top))}"
    try:
        _resolved(top, "HEAD")
    except GitTrouble:
        mend = "Commit something first, or leave --base out, to check every leaf."
        raise TaxonomyError(f"{name}: it has no commit yet", mend) from None
    mend = "Mind the spelling, or fetch it first: what CI clones is often one commit alone."
    raise TaxonomyError(name, mend)


def _resolved(top: str, revision: str) -> str:
    words = ("--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    return _ask(top, "rev-parse", *words).decode("ascii", "replace").strip()


def _compare(folder: str, top: str, commit: str, found: _Differences) -> None:
    """Note what differs below a folder: the index from the commit, the work tree from the index."""
    cached = ("diff-index", "-z", "--cached", "--name-only", "--ignore-submodules=none")
    names = {*_names(_ask(folder, *cached, commit, "--", "."))}
    staged = [*_names(_ask(folder, "ls-files", "-z", "--full-name", "--stage", "--", "."))]
    # What a repository within holds is not among these names: its own leaves are found by `_enter`.
    names.update(entry.partition("\t")[2] for entry in staged if entry.startswith("160000 "))
    here = ("ls-files", "-z", "--full-name", "--modified", "--others", "--exclude-standard")
    seconds = _SECONDS + len(staged) / 1000
    names.update(_names(_ask(folder, *here, "--", ".", seconds=seconds)))
    files = {os.path.join(top, name.rstrip("/")) for name in names}
    found.files |= files
    found.leaves |= _owners(files, top)
    for file in files:
        while (file := os.path.dirname(file)) not in found.above and len(file) >= len(top):
            found.above.add(file)


def _owners(files: Iterable[str], top: str) -> set[str]:
    """The folders of the leaves that files belong to: for each the nearest above it that is a leaf's."""
    known: dict[str, str | None] = {} if os.path.dirname(top) == top else {os.path.dirname(top): None}
    above = (_nearest(os.path.dirname(file), _LEAF, known) for file in files)
    return {folder for folder in above if folder is not None}


def _names(output: bytes) -> Iterator[str]:
    return (os.fsdecode(name) for name in output.split(b"\0") if name)


def _ask(folder: str, *words: str, seconds: float = _SECONDS) -> bytes:
    return run_git(("--literal-pathspecs", *words), cwd=Path(folder), seconds=seconds, most_bytes=_MOST_BYTES)
