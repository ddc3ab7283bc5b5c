"""A leaf's documents from git: `{repo, commit, patterns}` to bytes, over a cache (§3.1).

A commit is fetched once; afterwards nothing is sent. Of it come its trees, then the files that the
patterns mean; where the server cannot part them, all its files; where it gives nothing by its id,
its branches and tags. What a branch or tag means is asked again each time that one is online,
because it can mean another commit tomorrow; offline it means what it meant.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from feldspar.taxonomy.git import shelf
from feldspar.taxonomy.git.blame import DUMB, REFUSES, blame, unreachable
from feldspar.taxonomy.git.names import check_commit, is_whole, read_patterns, transports
from feldspar.taxonomy.git.objects import GitFile, Limits, Unfit, read_files
from feldspar.taxonomy.git.runner import UPLOAD_PACK, GitTrouble, Said
from feldspar.taxonomy.git.shelf import Job, Meaning
from feldspar.text import escaped

LIMITS = Limits()
_ALL = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_EVER = "--depth=2147483647"
"""All of history. Unlike no depth at all, a server that only hands out files refuses it in words."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A commit's files."""

    commit: str
    """The full id that was used."""
    files: tuple[GitFile, ...]
    """By path."""
    moved: str = ""
    """Where the leaf names a branch or tag: that it does, and which commit it means."""


def fetch(
    repo: str,
    commit: str,
    patterns: Sequence[str],
    *,
    cache: Path,
    offline: bool = False,
    limits: Limits = LIMITS,
) -> Fetched | None:
    """The files of one commit that the patterns mean.

    Args:
        repo: Its address: https, http, ssh (also `git@host:path`), git or file:///.
        commit: A full or abbreviated id, or the name of a branch or tag.
        patterns: See `names`.
        cache: A folder; what is kept lies below `git` in it, and is its owner's alone.
        offline: Use the cache alone.
        limits: Beyond, it is stopped.

    Returns:
        None where offline and the cache does not hold it, or not soundly.

    Raises:
        GitTrouble: With the part of the leaf that is to blame.
    """
    protocols = transports(repo)
    check_commit(commit)
    name = commit.lower() if is_whole(commit) else commit
    until = time.monotonic() + limits.seconds
    job = Job(repo, name, read_patterns(patterns), protocols, shelf.folder_of(cache, repo), limits, until)
    try:
        known = shelf.recall(job)
        if known is not None and (offline or not known.moves):
            files = _held(job, known.commit)
            if files is not None:
                told = f"{name} meant {known.commit[:12]} when it was asked last" if known.moves else ""
                return Fetched(known.commit, files, told)
        if offline:
            return None
        with shelf.alone(job):
            return _online(replace(job, until=time.monotonic() + limits.seconds))
    except OSError as error:
        what = f"the cache {job.folder} cannot be used: {error.strerror or type(error).__name__}"
        raise GitTrouble(what, "see that its disk has room, and that the folder is yours") from None


def _online(job: Job) -> Fetched:
    known, told = shelf.recall(job), ""
    if known is None or known.moves:
        known, told = _ask(job, known)
    files = _held(job, known.commit)
    if files is None:
        files = _bring(job, known.commit)
    if known.commit != job.name:
        shelf.remember(job, known)
    return Fetched(known.commit, files, told)


def _held(job: Job, commit: str) -> tuple[GitFile, ...] | None:
    """The files, where the cache has them all and sound."""
    try:
        return _read(job, commit)
    except Unfit:
        return None


def _read(job: Job, commit: str) -> tuple[GitFile, ...]:
    place = job.place(commit)
    if not place.is_dir():
        raise Unfit
    return read_files(_asking(job, place), commit, job.patterns, job.limits, job.until)


def _asking(job: Job, place: Path) -> Callable[[Sequence[str], bytes, int], Said]:
    return lambda arguments, feed, most: shelf.run(job, place, arguments, feed, most)


def _ask(job: Job, before: Meaning | None) -> tuple[Meaning, str]:
    """What a name means now, and, where it can mean something else later, that in words."""
    refs: tuple[str, ...] = (f"refs/heads/{job.name}", f"refs/tags/{job.name}")
    if job.name == "HEAD" or job.name.startswith("refs/"):
        refs = (job.name,)
    with shelf.new(job) as new:
        peeled = tuple(f"{ref}^{{}}" for ref in refs)
        said = _talk(job, new, ("ls-remote", "--quiet", "origin", *refs, *peeled))
        if said.code:
            trouble = blame(said, job.repo, job.name)
            if before is not None and unreachable(said):
                told = f"{job.name} meant {before.commit[:12]} when it was asked last; {trouble.what}"
                return before, told
            raise trouble
        found = _refs(said.out)
        meant = {found.get(f"{ref}^{{}}", found[ref]) for ref in refs if ref in found}
        if len(meant) > 1:
            what = f"{job.name!r} is both a branch and a tag of {job.repo}"
            raise GitTrouble(what, f"write refs/heads/{job.name} or refs/tags/{job.name}", "commit")
        if meant:
            return _moving(job.name, meant.pop(), before)
        if re.fullmatch(r"[0-9a-fA-F]{4,63}", job.name):
            return Meaning(_expand(job, new), False), ""
        listed = _talk(job, new, ("ls-remote", "--quiet", "origin", "HEAD", "refs/heads/*"))
        if not listed.code and not listed.out:
            raise _bare(job)
    what = f"{job.repo} has no branch, tag or commit {escaped(job.name)!r}"
    mend = (
        f"it meant {before.commit}: write that"
        if before
        else f"`git ls-remote {job.repo}` lists what is there"
    )
    raise GitTrouble(what, mend, "commit")


def _refs(listed: bytes) -> dict[str, str]:
    """Name to id, of what can be a name and an id."""
    pairs = (line.partition("\t") for line in listed.decode("utf-8", "replace").splitlines())
    return {ref: oid for oid, _, ref in pairs if is_whole(oid)}


def _moving(name: str, commit: str, before: Meaning | None) -> tuple[Meaning, str]:
    told = f"{name} means {commit[:12]} now, and can mean another commit later"
    if before is not None and before.commit != commit:
        told = f"{name} means {commit[:12]} now; it meant {before.commit[:12]} when it was asked last"
    return Meaning(commit, True), told


def _expand(job: Job, new: Path) -> str:
    """The commit that an abbreviated id means; the server must show all its commits to tell.

    Where it cannot leave their files out, the repository that comes is put into the commit's place.
    """
    try:
        said = _fetch(job, new, _ALL, _EVER, "--filter=tree:0")
        if said.code and DUMB.search(said.told):
            said = _fetch(job, new, _ALL)
    except GitTrouble as trouble:
        mend = "write the full id: for a short one, all of the history is needed"
        raise GitTrouble(trouble.what, mend, "commit") from None
    if said.code:
        raise blame(said, job.repo, job.name)
    found = shelf.run(job, new, ("rev-parse", "--verify", "--quiet", f"{job.name}^{{commit}}"))
    commit = found.out.decode("ascii", "replace").strip()
    if found.code or not is_whole(commit):
        alike = shelf.run(job, new, ("rev-parse", f"--disambiguate={job.name}")).out.count(b"\n")
        if alike > 1:
            what = f"{job.name!r} could be any of {alike} ids of {job.repo}"
            raise GitTrouble(what, "write the full id", "commit")
        what = f"{job.repo} has no commit {job.name!r} on a branch or tag"
        raise GitTrouble(what, "write the full id of a commit that is there", "commit")
    if not shelf.run(job, new, ("cat-file", "-e", f"{commit}^{{tree}}")).code:
        shelf.put(job, new, commit)
    return commit


def _bring(job: Job, commit: str) -> tuple[GitFile, ...]:
    """Fetch what is missing, then all anew: first only what is asked for, then with every file."""
    for filters in (("--filter=blob:none",), ()):
        try:
            return _read(job, commit)
        except Unfit as unfit:
            missing = unfit.missing
        if missing and _add(job, commit, missing):
            files = _held(job, commit)
            if files is not None:
                return files
        _make(job, commit, filters)
    try:
        return _read(job, commit)
    except Unfit:
        what = f"{job.repo} has not sent all of commit {commit[:12]}"
        raise GitTrouble(what, "see whether `git fsck` finds it whole, or name another", "repo") from None


def _add(job: Job, commit: str, missing: tuple[str, ...]) -> bool:
    """Fetch objects into a commit's repository; False where the server gives none by its id."""
    said = _fetch(job, job.place(commit), missing, "--filter=blob:none")
    if said.code and not REFUSES.search(said.told) and not DUMB.search(said.told):
        raise blame(said, job.repo, job.name)
    return not said.code


def _make(job: Job, commit: str, filters: tuple[str, ...]) -> None:
    """Fetch a commit alone; where the server refuses, every branch and tag, with their history."""
    with shelf.new(job, len(commit)) as new:
        said = _fetch(job, new, (commit,), "--depth=1", *filters)
        if not said.code:
            _put(job, new, commit)
            return
    if not REFUSES.search(said.told) and not DUMB.search(said.told):
        raise blame(said, job.repo, job.name)
    with shelf.new(job, len(commit)) as new:
        said = _fetch(job, new, _ALL)
        if said.code:
            raise blame(said, job.repo, job.name)
        if not shelf.run(job, new, ("for-each-ref", "--count=1")).out:
            raise _bare(job)
        _put(job, new, commit)


def _bare(job: Job) -> GitTrouble:
    """What a page of a website looks like to git, and an empty repository."""
    what = f"{job.repo} has no branches, or is no git repository"
    return GitTrouble(what, "name the repository itself, as `git clone` takes it", "repo")


def _put(job: Job, new: Path, commit: str) -> None:
    found = shelf.run(job, new, ("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"))
    meant = found.out.decode("ascii", "replace").strip()
    if found.code:
        what = f"{job.repo} has no commit {commit}"
        raise GitTrouble(what, "write the full id of a commit that a branch or tag of it leads to", "commit")
    if meant != commit:
        raise GitTrouble(
            f"{commit} is a tag of {job.repo}", f"write the commit that it means: {meant}", "commit"
        )
    shelf.put(job, new, commit)


def _fetch(job: Job, repository: Path, wanted: Sequence[str], *options: str) -> Said:
    quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-gc")
    filtered = any(option.startswith("--filter=") for option in options)
    return _talk(job, repository, ("fetch", *quiet, *options, "origin", *wanted), filtered)


def _talk(job: Job, repository: Path, arguments: Sequence[str], filtered: bool = False) -> Said:
    """Run git with the network, and the server as `origin` for this once."""
    origin = ["-c", f"remote.origin.url={job.repo}"]
    if job.protocols == ("file",):
        origin += ["-c", f"remote.origin.uploadPack={UPLOAD_PACK}"]
    if filtered:
        # Said here, git need not note it down: nothing that is read later can make git fetch.
        origin += ["-c", "remote.origin.promisor=true", "-c", "remote.origin.partialCloneFilter=blob:none"]
    return shelf.run(job, repository, (*origin, *arguments), network=True)
