"""What git says when it cannot fetch, as a sentence for the person whose leaf named the repository."""

from __future__ import annotations

import re

from feldspar.taxonomy.git.runner import GitTrouble, Said, complaint
from feldspar.text import escaped

REFUSES = re.compile(r"unadvertised object")
"""A server that gives no commit or file by its id alone."""
DUMB = re.compile(r"does not support (shallow|--?filter)")
"""A web server that only hands out files; git asks it for whole branches."""

_BLAME: tuple[tuple[str, str, str, str], ...] = (
    (
        r"not our ref|unadvertised object|couldn't find remote ref|not a valid object name",
        "{repo} has no commit {commit}",
        "write the full id of a commit that a branch or tag of it leads to",
        "commit",
    ),
    (
        r"could not read (Username|Password)|Authentication failed|error: 40[13]|terminal prompts disabled",
        "{repo} asks for a password, or is not there",
        "a private repository is read by its ssh address (git@host:path) and your ssh key",
        "repo",
    ),
    (
        r"Permission denied \(|Host key verification failed|Too many authentication failures",
        "{repo} does not let you in by ssh: {said}",
        "see that `ssh` to its host works without a question",
        "repo",
    ),
    (r"[Nn]o space left on device|Disk quota", "the disk is full", "free some space", ""),
    (
        r"[Pp]rotocol \S+ (not supported|disabled)|transport '[^']*' not allowed|redirect",
        "{repo} sends one on to where git may not follow: {said}",
        "name the address that it sends to, if you trust it",
        "repo",
    ),
    (
        r"certificate|CAfile|SSL_connect",
        "{repo} cannot be trusted: {said}",
        "see that its address is right; name your own authority's file in SSL_CERT_FILE",
        "repo",
    ),
    (
        r"[Cc]ould not resolve|[Ff]ailed to connect|[Cc]ould ?n[o']t connect|unable to connect|timed? ?out"
        r"|[Nn]etwork is unreachable|[Nn]o route to host|[Cc]onnection (refused|reset|closed)"
        r"|[Oo]peration too slow|Empty reply|returned error: (5|429)|[Uu]nable to look up|_read: |recv error"
        r"|RPC failed|early EOF|hung up",
        "{repo} cannot be reached: {said}",
        "see that its address is right and that the network is there, and try again",
        "repo",
    ),
    (
        r"dubious ownership",
        "{repo} belongs to another user of this machine, so that git does not read it",
        "make a clone of your own (git clone --bare), and name that",
        "repo",
    ),
    (
        r"not found|does not appear to be a git repository|not a git repository|not valid: is this a git"
        r"|returned error: 4|does not exist",
        "there is no repository {repo}",
        "name the repository itself, as `git clone` takes it",
        "repo",
    ),
    (
        r"fsck|hasDot|fullPathname|corrupt|inflate|bad (object|pack)|attempting to allocate|[Oo]ut of memory",
        "{repo} has objects that git refuses: {said}",
        "name another commit, or a repository that `git fsck --strict` passes",
        "repo",
    ),
)


def blame(said: Said, repo: str, commit: str) -> GitTrouble:
    """What git said about a stranger's repository, as a trouble that names the part of the leaf."""
    for words, what, mend, part in _BLAME:
        if re.search(words, said.told):
            told = what.format(repo=escaped(repo), commit=escaped(commit), said=complaint(said))
            return GitTrouble(told, mend, part)
    return GitTrouble(f"git cannot fetch from {escaped(repo)}: {complaint(said)}", "", "repo")


def unreachable(said: Said) -> bool:
    """Whether a server could not be asked, rather than said no."""
    return any(re.search(words, said.told) for words, what, _, _ in _BLAME if "cannot be reached" in what)
