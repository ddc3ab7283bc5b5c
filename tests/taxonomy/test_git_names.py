"""What a leaf names in git: addresses, commits and patterns, read as meant or refused by name."""

from __future__ import annotations

import contextlib
import glob
import os
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.taxonomy.git_world import trouble

from feldspar.taxonomy.git import GitTrouble
from feldspar.taxonomy.git.names import check_commit, read_pattern, transports


@pytest.mark.parametrize(
    ("repo", "allowed"),
    [
        ("https://github.com/juliadenham/Summit_knowledge", ("https",)),
        ("https://example.org:8443/a/b.git", ("https",)),
        ("http://[::1]:80/a", ("http", "https")),
        ("ssh://git@example.org:22/a/b.git", ("ssh",)),
        ("git@github.com:org/repo.git", ("ssh",)),
        ("example.org:repo", ("ssh",)),
        ("git://example.org/repo", ("git",)),
        ("file:///srv/my docs/repo.git", ("file",)),
    ],
)
def test_addresses_that_are_read(repo: str, allowed: tuple[str, ...]) -> None:
    assert transports(repo) == allowed


REFUSED = r"""
--upload-pack=touch x | -oProxyCommand=touch | ext::sh -c touch% x | fd::7 | ::x | https::https://example.org/a
ftp://example.org/a | HTTPS://example.org/a | ../other | /srv/repo.git | github.com/a/b | C:\repo | C:/repo
file://host/repo | file://../repo | file:/// | file:/srv/repo | ssh://-oProxyCommand=touch/x | ssh://git@-x/y
-x:y | git@-x:y | git@host:-x | ssh://%2dx/y | ssh://a@b@c/x | git@host name:x | https:///x | https://a:b/x
https://exa mple.org/x | https://exämple.org/x | https://example.org:/x | https://[::1/x | git@host::x
""".replace("\n", " | ").split(" | ")[1:-1]


@pytest.mark.parametrize(
    "repo",
    ["", " https://example.org/a", "https://e.org\n/x", "a\0b", "https://e.org/" + "x" * 2000, *REFUSED],
)
def test_addresses_that_are_refused(repo: str) -> None:
    refused = trouble(lambda: transports(repo))
    assert refused.part == "repo"
    assert refused.mend
    assert "\n" not in refused.what + refused.mend


@pytest.mark.parametrize(
    "repo",
    """https://writer:hunter2@example.org/a https://hunter2@example.org/a ssh://w:hunter2@example.org/a
    ftp://writer:hunter2@example.org/a writer:hunter2@example.org:a git://hunter2@example.org/a""".split(),
)
def test_a_key_in_an_address_is_refused_and_not_repeated(repo: str) -> None:
    refused = trouble(lambda: transports(repo))
    assert refused.part == "repo"
    assert "hunter2" not in refused.what + refused.mend


@pytest.mark.parametrize("name", "main feature/x-1 v1.2 HEAD refs/pull/7/head abc1234 größe".split())
def test_names_of_commits(name: str) -> None:
    check_commit(name)


@pytest.mark.parametrize(
    "name", ["", "a b", "a\n", "a\0", "x" * 300, *r"-x --upload-pack=x a..b main~1 main^".split()]
)
def test_what_names_no_commit(name: str) -> None:
    assert trouble(lambda: check_commit(name)).part == "commit"


@pytest.mark.parametrize("name", r"a:b a* a? a[b] a\b @ a@{1} x.lock x.lock/y /a a/ a//b .a a/.b a.".split())
def test_what_git_allows_as_no_name(name: str) -> None:
    assert trouble(lambda: check_commit(name)).part == "commit"


OUTSIDE = r"/etc/passwd ../../etc/* docs/../../x .. docs/.. C:/x c:x ..\x docs\a.md docs/ ./ docs/. ."


@pytest.mark.parametrize("pattern", ["", "a\0b", "a\nb", "x" * 2000, *OUTSIDE.split()])
def test_patterns_that_are_refused(pattern: str) -> None:
    refused = trouble(lambda: read_pattern(pattern))
    assert refused.part == "patterns"
    assert "\n" not in refused.what


PATHS = [
    *"a.md b.txt .hidden.md [x].md deep/a.md docs/a.md docs/.x.md docs/.h/d.md docs/deep/b.md".split(),
    *"docs/deep/er/c.md docs/deep/.er/c.md .github/e.md .github/w/f.md".split(),
]
PIECES = "** * *.md a.md docs deep .* .github ?.md [ab].md [!a]* [ [[]x].md a** . e* .hidden.md".split()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkout")
    for path in PATHS:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


@settings(max_examples=400, deadline=None)
@given(pieces=st.lists(st.sampled_from(["", *PIECES]), min_size=1, max_size=5))
@example(pieces=["**"])
@example(pieces=["docs", "**"])
@example(pieces=["**", "**", "**", "*.md"])
@example(pieces=["docs", "**", "c.md"])
def test_patterns_mean_what_glob_means_by_them(checkout: Path, pieces: list[str]) -> None:
    pattern = "/".join(pieces)
    try:
        meant = read_pattern(pattern)
    except GitTrouble:
        assert pieces[0] == "" or pieces[-1] in ("", ".")
        return
    named = glob.glob(os.path.join(checkout, pattern), recursive=True)
    files = {os.path.relpath(path, checkout) for path in named if os.path.isfile(path)}
    assert {path for path in PATHS if meant.matches(path)} == files
    if meant.literal is not None:
        assert files == {meant.literal} & {*PATHS}


def test_a_pattern_that_backtracks_takes_no_time() -> None:
    meant = read_pattern("/".join(["**", "*a*a*a*a*a*a*a*a*a*b"] * 8))
    began = time.monotonic()
    assert not meant.matches("/".join(["a" * 200] * 40))
    assert time.monotonic() - began < 1


@settings(deadline=None)
@given(st.text())
def test_whatever_is_named_is_read_or_refused(text: str) -> None:
    for read in (transports, check_commit, read_pattern):
        with contextlib.suppress(GitTrouble):
            read(text)
