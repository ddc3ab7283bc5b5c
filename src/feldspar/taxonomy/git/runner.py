"""The real `git`, run so that what a stranger wrote can neither run a program nor fill the machine.

Nothing of the caller's git reaches it: its environment is built from an allow-list, and the
configuration of the user and of the system stays unread. No transport is open unless it is named.

A person's own keys: `ssh` uses their `~/.ssh` and their agent, because proving a key gives none of
it away. `~/.netrc` and credential helpers are not used: their password would be sent, over http in
the clear, to whatever a stranger's leaf names. A private repository is named by its ssh address.

For git 2.30 or later; one with the fixes of May 2024 (2.45.1, 2.39.4) where a repository on this
machine is a stranger's: before, reading one with missing objects could run a program of its choice.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from feldspar.errors import TaxonomyError
from feldspar.taxonomy.git.bounded import FOLDER_BYTES, MOST_BYTES, Bounds, Exceeded
from feldspar.taxonomy.git.bounded import run as run_bounded
from feldspar.text import escaped

_SSH = (
    "ssh -a -x -o BatchMode=yes -o ConnectTimeout=9 -o ServerAliveInterval=5 -o ServerAliveCountMax=2"
    " -o PermitLocalCommand=no -o ClearAllForwardings=yes -o ControlMaster=no -o ControlPath=none"
)
_KEPT = (
    *("SSH_AUTH_SOCK", "SYSTEMROOT", "TEMP", "TMPDIR", "http_proxy"),
    *("https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)
_FIXED = {
    "LC_ALL": "C",
    "LANG": "C",
    # No ~/.gitconfig before git 2.32, which knows no GIT_CONFIG_GLOBAL, and no ~/.netrc.
    "HOME": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_SSH_COMMAND": _SSH,
    "GIT_SSH_VARIANT": "ssh",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "false",
    # A pack of 16 kB can ask for 10 GB at once.
    "GIT_ALLOC_LIMIT": "256m",
}
_SETTINGS = (
    # What a repository's own configuration could have git run.
    *("core.fsmonitor=false", f"core.hooksPath={os.devnull}", f"core.sshCommand={_SSH}"),
    *("core.alternateRefsCommand=", "core.askPass=", "core.pager=cat", "core.editor=false"),
    *("credential.helper=", "gpg.program=false", "log.showSignature=false"),
    *("protocol.ext.allow=never", "submodule.recurse=false", "fetch.recurseSubmodules=false"),
    *("diff.ignoreSubmodules=all", f"core.attributesFile={os.devnull}"),
    # What is fetched is checked, kept as one pack, and never worked on behind our back.
    *("transfer.fsckObjects=true", "fetch.fsckObjects=true", "fetch.unpackLimit=1"),
    *("gc.auto=0", "maintenance.auto=false", "fetch.writeCommitGraph=false", "init.defaultBranch=main"),
    # A redirect of the first request alone, as of a renamed repository.
    *("http.followRedirects=initial", "http.lowSpeedLimit=1", "http.lowSpeedTime=9", "protocol.version=2"),
)
_LEAN = (
    *("core.bigFileThreshold=32m", "core.packedGitWindowSize=32m", "core.packedGitLimit=256m"),
    *("pack.threads=1", "pack.windowMemory=128m"),
)
"""Large files are streamed and maps kept small, within the bound of memory."""
UPLOAD_PACK = f"git -c {' -c '.join(_LEAN)} upload-pack"
"""The other end on this machine, which what `-c` says to git does not reach by itself."""
_RUNS = re.compile(
    r"(filter\..*\.(clean|smudge|process|required)|diff\.(external|.*\.(command|textconv))|merge\..*\.driver)",
    re.IGNORECASE | re.DOTALL,
)
_LIST = ("config", "--null", "--name-only", "--list")


class GitTrouble(TaxonomyError):
    """What git could not do, or may not; `part` is the key of `document` to blame, if one is."""

    def __init__(self, what: str, mend: str = "", part: str = "") -> None:
        super().__init__(what, mend)
        self.part = part


@dataclass(frozen=True, slots=True)
class Said:
    """What a git process that ended by itself left."""

    code: int
    out: bytes
    told: str
    """Its complaints: printable, a line each."""


def run_git(
    arguments: Sequence[str],
    *,
    cwd: Path,
    seconds: float = 60.0,
    most_bytes: int = MOST_BYTES,
    folder: Path | None = None,
    folder_bytes: int = FOLDER_BYTES,
) -> bytes:
    """The output of git in somebody's repository, whose configuration is not trusted.

    No transport is open; no prompt, hook, pager, helper, monitor or filter runs. A submodule's
    configuration is not ours to bound: pass `--ignore-submodules=all` to what looks into them, and
    `--no-ext-diff --no-textconv` to what makes patches.

    Args:
        arguments: After `git`.
        cwd: A folder of the repository.
        seconds: How long each git process may take.
        most_bytes: How much it may print.
        folder: Watched for growth beyond `folder_bytes`.
        folder_bytes: In bytes.

    Raises:
        GitTrouble: It failed, is not installed, or went over a bound.
    """
    bounds = Bounds(seconds, most_bytes, folder, folder_bytes)
    try:
        said = _guarded(arguments, cwd, bounds)
    except Exceeded as error:
        raise over(error, bounds, f"git in {cwd}") from None
    if said.code:
        raise _failed(said, cwd)
    return said.out


def _guarded(arguments: Sequence[str], cwd: Path, bounds: Bounds, trusted: tuple[str, ...] = ()) -> Said:
    said = git((*trusted, *_LIST), cwd=cwd, bounds=bounds)
    if not said.code:
        said = git((*trusted, *_disarmed(said.out, cwd), *arguments), cwd=cwd, bounds=bounds)
    if said.code and "dubious ownership" in said.told and not trusted:
        trusted = _trusted(bounds)
        return _guarded(arguments, cwd, bounds, trusted) if trusted else said
    return said


def git(
    arguments: Sequence[str],
    *,
    cwd: Path,
    bounds: Bounds,
    feed: bytes = b"",
    protocols: Sequence[str] = (),
    own: bool = False,
) -> Said:
    """Run git where the configuration is our own, as in the cache.

    Args:
        arguments: After `git`.
        cwd: Its working folder.
        bounds: Of the process.
        feed: Its standard input.
        protocols: The transports that are open, by git's names.
        own: Read the user's and the system's configuration.

    Raises:
        Exceeded: It went over a bound; `over` puts it into words.
        GitTrouble: It is not installed, or cannot be started.
    """
    command = ("git", *_each((*_SETTINGS, *_LEAN)), *arguments)
    try:
        done = run_bounded(
            command, cwd=cwd, environment=_environment(protocols, own), bounds=bounds, feed=feed
        )
    except FileNotFoundError:
        if not cwd.is_dir():
            raise GitTrouble(f"{cwd} is no folder", "name a folder") from None
        raise GitTrouble(
            "git is not installed", "install git 2.30 or later, and see that PATH leads to it"
        ) from None
    except (OSError, ValueError) as error:
        raise GitTrouble(f"git cannot be started: {error}") from None
    return Said(done.code, done.out, _lines(done.error))


def over(error: Exceeded, bounds: Bounds, who: str, part: str = "") -> GitTrouble:
    """A bound that was passed, in words; `who` begins them, `part` is to blame but for a full disk."""
    if error.kind == "time":
        mend = "see whether the server answers, or clone it yourself and name its files with `paths`"
        return GitTrouble(f"{who} took longer than {bounds.seconds:.0f} seconds, and was stopped", mend, part)
    if error.kind == "disk":
        return GitTrouble(f"{who} was stopped: the disk is nearly full", "free some space")
    most = bounds.most_bytes if error.kind == "output" else bounds.folder_bytes
    what = f"{who} gave more than {most:,} bytes, and was stopped"
    return GitTrouble(what, "name a smaller repository, or the files themselves with `paths`", part)


def complaint(said: Said) -> str:
    """The line of git's complaints that says most, in at most 200 characters."""
    lines = [line.strip() for line in said.told.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("ssh: ", "fatal: ", "error: "))]
    line = (telling or lines or ["it failed and did not say why"])[0]
    return re.sub(r"^(fatal|error): (unable to access '[^']*': )?", "", line)[:200]


def _lines(error: bytes) -> str:
    return "\n".join(escaped(line) for line in error.decode("utf-8", "replace").splitlines())


def _each(settings: Iterable[str]) -> tuple[str, ...]:
    return tuple(part for setting in settings for part in ("-c", setting))


def _environment(protocols: Sequence[str], own: bool) -> Mapping[str, str]:
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | _FIXED
    # A relative entry would find a program named git in the repository itself.
    paths = os.environ.get("PATH", os.defpath).split(os.pathsep)
    environment["PATH"] = os.pathsep.join(path for path in paths if os.path.isabs(path))
    environment["GIT_ALLOW_PROTOCOL"] = ":".join(protocols)
    for theirs, ours in (("SSL_CERT_FILE", "GIT_SSL_CAINFO"), ("SSL_CERT_DIR", "GIT_SSL_CAPATH")):
        if theirs in os.environ:
            environment[ours] = os.environ[theirs]
    if own:
        for name in ("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_GLOBAL", "HOME"):
            del environment[name]
        homes = ("HOME", "XDG_CONFIG_HOME")
        environment |= {name: os.environ[name] for name in homes if name in os.environ}
    return environment


def _disarmed(names: bytes, cwd: Path) -> tuple[str, ...]:
    """Settings that undo every driver of a repository's configuration that could run a program."""
    drivers = {name for name in names.decode("utf-8", "surrogateescape").split("\0") if _RUNS.fullmatch(name)}
    if any("=" in name for name in drivers):
        # Git would take what stands before the sign for the whole name.
        what = f"git's configuration for {cwd} names a driver with = in its name, which could run anything"
        raise GitTrouble(what, "remove that section from its .git/config")
    return _each(f"{name}=" for name in sorted(drivers))


def _trusted(bounds: Bounds) -> tuple[str, ...]:
    """The repositories of other users that this one, or this machine, told git to trust.

    All that is read of their configuration, and only where git refused: continuous integration
    often checks out as another user.
    """
    paths: list[str] = []
    root = Path(Path.cwd().anchor)
    for scope in ("--system", "--global"):
        with contextlib.suppress(GitTrouble):
            asked = ("config", scope, "--null", "--get-all", "safe.directory")
            said = git(asked, cwd=root, bounds=bounds, own=True)
            paths += said.out.decode("utf-8", "surrogateescape").split("\0")[:-1]
    return _each(f"safe.directory={path}" for path in paths)


def _failed(said: Said, cwd: Path) -> GitTrouble:
    if "dubious ownership" in said.told:
        mend = f"if you trust it: git config --global --add safe.directory {cwd}"
        return GitTrouble(f"{cwd} belongs to another user, so that git does not read it", mend)
    if "not a git repository" in said.told:
        return GitTrouble(f"{cwd} is in no git repository", "name a folder of one")
    return GitTrouble(f"git failed: {complaint(said)}")
