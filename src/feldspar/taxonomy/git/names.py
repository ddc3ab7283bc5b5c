"""What a leaf's `document` names in git: `repo`, `commit` and `patterns`, each read, or refused by name.

Patterns mean what they mean to InstructLab, which gives them to Python's `glob` at the root of a
checkout: `*` and `?` stay within a folder, `**/` is any number of folders, none of them takes a
name that starts with a dot unless the pattern does, and only files count. Here they are compared
with the names in the commit; no file system is looked at.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass

from feldspar.taxonomy.git.runner import GitTrouble
from feldspar.text import escaped

MAX_PATTERNS = 1000
_MAX_LENGTH = 1000
_TRANSPORTS = {
    "https": ("https",),
    # A server may send one from http to https, and never back.
    "http": ("http", "https"),
    "ssh": ("ssh",),
    "git": ("git",),
    "file": ("file",),
}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)(.*)")
_HELPER = re.compile(r"([A-Za-z0-9+.-]*)::")
_SCP = re.compile(r"(?:(?P<user>[^@:/]*)@)?(?P<host>[^@:/]{2,}):(?P<path>(?!-|[^/]*@[^/]*:)[^:].*)")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_NO_NAME = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|(^|/)[./]|[./]$|\.lock($|/)|^-|^@$")
_MAGIC = re.compile(r"[*?[]")
_ALLOWED = "write https://…, ssh://…, git@host:path or file:///…"
_BY_KEY = "leave it out of the address: a private repository is read by its ssh address and your ssh key"


def transports(repo: str) -> tuple[str, ...]:
    """The transports that git may use for a repository's address.

    Raises:
        GitTrouble: The address is none that is allowed; git was not started.
    """
    if not repo or len(repo) > _MAX_LENGTH or not repo.isprintable():
        raise _refused(repo, "is no address of a repository", _ALLOWED)
    if repo.startswith("-"):
        raise _refused(repo, "starts with -, as an option does", _ALLOWED)
    helper = _HELPER.match(repo)
    if helper:
        raise _refused(repo, f"names the transport {helper[1]}::, which runs programs", _ALLOWED)
    url = _URL.fullmatch(repo)
    if url is None:
        _check_short(repo)
        return _TRANSPORTS["ssh"]
    scheme, place, path = url.groups()
    if scheme not in _TRANSPORTS:
        raise _refused(repo, f"names the transport {scheme}, which is not allowed", _ALLOWED)
    if scheme == "file":
        if place or not path.strip("/"):
            raise _refused(repo, "names no folder of this machine", "write file:/// and the whole path")
    else:
        _check_place(repo, scheme, place)
    return _TRANSPORTS[scheme]


def _check_short(repo: str) -> None:
    """An address as ssh's own copy program writes it: host:path."""
    short = _SCP.fullmatch(repo)
    if short is None or short["host"].lower() in _TRANSPORTS:
        raise _refused(repo, "is a path, or no address", f"{_ALLOWED} with the whole path")
    user = short["user"]
    if not _HOST.fullmatch(short["host"]) or (user is not None and not _USER.fullmatch(user)):
        raise _refused(repo, "names no host", _ALLOWED)


def _check_place(repo: str, scheme: str, place: str) -> None:
    user, at, host = place.rpartition("@")
    host, port = (host, "0") if re.search(r"(^|])[^:]*$", host) else host.rsplit(":", 1)
    if ":" in user or (at and scheme != "ssh"):
        # A key may stand in the name's place, too. Not shown: it may be one.
        what = f"the {scheme} address of a repository holds a user or a password"
        raise GitTrouble(what, _BY_KEY, "repo")
    if at and not _USER.fullmatch(user):
        raise _refused(repo, "names no user", _ALLOWED)
    if not _HOST.fullmatch(host) or not re.fullmatch(r"[0-9]{1,5}", port):
        raise _refused(repo, "names no host", _ALLOWED)


def _refused(repo: str, why: str, mend: str) -> GitTrouble:
    # Before an @ may stand a key, which must not reach a log.
    shown = re.sub(r"[^/]*@", "…@", escaped(repo[:200]))
    return GitTrouble(f"{shown!r} {why}", mend, "repo")


def is_whole(commit: str) -> bool:
    """Whether it is a full commit id, of SHA-1 or SHA-256, which can only ever mean one commit."""
    return re.fullmatch(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}", commit) is not None


def check_commit(commit: str) -> None:
    """Refuse what can be neither a commit id nor the name of a branch or tag.

    Raises:
        GitTrouble: It is neither.
    """
    if len(commit) > 250 or not commit.isprintable() or not commit or _NO_NAME.search(commit):
        what = f"{escaped(commit[:200])!r} is neither a commit id nor the name of a branch or tag"
        raise GitTrouble(what, "write the commit's id, as `git log` shows it", "commit")


@dataclass(frozen=True, slots=True)
class _Name:
    """One folder or file of a pattern."""

    text: str
    glob: re.Pattern[str] | None
    """None where the text is the name itself."""

    def fits(self, name: str) -> bool:
        if self.glob is None:
            return self.text == name
        hidden = name.startswith(".") and not self.text.startswith(".")
        return not hidden and self.glob.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Pattern:
    """Names of files, as a leaf writes them."""

    text: str
    parts: tuple[_Name | None, ...]
    """A folder or file each; None stands for any number of folders."""

    @property
    def literal(self) -> str | None:
        """The one path that it names, where it names one."""
        names = [part.text for part in self.parts if part is not None and part.glob is None]
        return "/".join(names) if len(names) == len(self.parts) else None

    def matches(self, path: str) -> bool:
        """Whether it means a path, whose folders are separated with /."""
        states = self._onward({0})
        for name in path.split("/"):
            after = (self._after(state, name) for state in states)
            states = self._onward({state for state in after if state is not None})
            if not states:
                return False
        return len(self.parts) in states

    def _onward(self, states: set[int]) -> set[int]:
        """The states, with those that any number of folders being none leads to."""
        for state in tuple(states):
            while state < len(self.parts) and self.parts[state] is None:
                state += 1
                states.add(state)
        return states

    def _after(self, state: int, name: str) -> int | None:
        if state == len(self.parts):
            return None
        part = self.parts[state]
        if part is None:
            return None if name.startswith(".") else state
        return state + 1 if part.fits(name) else None


def read_pattern(text: str) -> Pattern:
    """A pattern of a leaf.

    Raises:
        GitTrouble: It leads out of the repository, or is no pattern of file names.
    """
    names = text.split("/")
    why = ""
    if not text or len(text) > _MAX_LENGTH or not text.isprintable():
        why = "is no pattern of file names"
    elif text.startswith("/") or re.match(r"[A-Za-z]:", text):
        why = "is not relative to the repository's root"
    elif ".." in names or ".." in text.split("\\"):
        why = "leads out of the repository"
    elif "\\" in text:
        why = "holds a \\, and folders are separated with /"
    elif names[-1] in ("", "."):
        why = "names a folder"
    if why:
        mend = "name files from the repository's root, such as docs/*.md"
        raise GitTrouble(f"{escaped(text[:200])!r} {why}", mend, "patterns")
    parts: list[_Name | None] = []
    for name in names:
        if name == "**":
            parts += [None] if parts[-1:] != [None] else []
        elif name not in ("", "."):
            parts.append(_Name(name, re.compile(fnmatch.translate(name)) if _MAGIC.search(name) else None))
    if parts[-1] is None:
        # What any number of folders ends in is a file.
        parts.append(_Name("*", re.compile(fnmatch.translate("*"))))
    return Pattern(text, tuple(parts))


def read_patterns(texts: Sequence[str]) -> tuple[Pattern, ...]:
    """The patterns of a leaf.

    Raises:
        GitTrouble: There are none, or too many, or one is no pattern; see `read_pattern`.
    """
    if not 0 < len(texts) <= MAX_PATTERNS:
        what = f"there are {len(texts):,} patterns, and 1 to {MAX_PATTERNS:,} are read"
        raise GitTrouble(what, "name files from the repository's root, such as docs/*.md", "patterns")
    return tuple(read_pattern(text) for text in texts)
