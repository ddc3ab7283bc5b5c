"""Documents out of real git repositories: fetched over each transport, by each name; and what goes wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.taxonomy.git_world import (
    Handler,
    World,
    commit,
    dumb,
    git,
    reply,
    serving,
    smart,
    started,
    trouble,
)

from feldspar.errors import FeldsparError
from feldspar.taxonomy.git import Limits, fetch, run_git


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# Over the transports.


def test_from_a_repository_of_this_machine(world: World) -> None:
    got = world.get(world.first, "docs/**/*.md")
    assert got is not None
    assert (got.commit, got.moved) == (world.first, "")
    assert [(file.path, file.data) for file in got.files] == [
        ("docs/a.md", b"one\n"),
        ("docs/deep/b.md", b"b\n"),
    ]


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("offered", [(), ("allowFilter",), ("allowFilter", "allowAnySHA1InWant")])
def test_from_a_web_server_once(world: World, version: int, offered: tuple[str, ...]) -> None:
    """Whatever the server offers: by full id, by short id, by branch and tag; again without asking."""
    world.configure(*offered)
    with serving(smart(world.bare.parent, version)) as server:
        url = f"{server.url}/r.git"
        for name, text in (
            (world.second, "two\n"),
            (world.first[:9], "one\n"),
            ("v1", "one\n"),
            ("main", "three\n"),
        ):
            assert world.text(name, "docs/*.md", url=url) == {"docs/a.md": text}
        server.requests.clear()
        assert world.text(world.second, "docs/*.md", url=url) == {"docs/a.md": "two\n"}
        assert world.text(world.first[:9], "docs/*.md", url=url) == {"docs/a.md": "one\n"}
        assert world.text("main", "docs/*.md", url=url, offline=True) == {"docs/a.md": "three\n"}
        assert server.requests == []
    assert world.text(world.second, "docs/*.md", url=url) == {"docs/a.md": "two\n"}
    assert world.text("v1", "docs/*.md", url=url, offline=True) == {"docs/a.md": "one\n"}


def test_from_a_server_that_only_hands_out_files(world: World) -> None:
    git(world.bare, "update-server-info")
    with serving(dumb(world.bare.parent)) as server:
        url = f"{server.url}/r.git"
        for name, text in ((world.second, "two\n"), (world.first[:9], "one\n"), ("main", "three\n")):
            assert world.text(name, "docs/*.md", url=url) == {"docs/a.md": text}
        server.requests.clear()
        assert world.text(world.second, "README.md", url=url) == {"README.md": "read\n"}
        assert server.requests == []
        assert trouble(lambda: world.get("1" * 40, url=url)).part == "commit"


def test_where_files_can_be_left_out_only_those_asked_for_are_sent(world: World) -> None:
    world.configure("allowFilter")
    with serving(smart(world.bare.parent)) as server:
        url = f"{server.url}/r.git"
        assert world.text(world.third, "README.md", url=url) == {"README.md": "read\n"}
        assert world.text(world.third, "docs/*.md", url=url, offline=True) is None
        server.requests.clear()
        assert world.text(world.third, "docs/*.md", url=url) == {"docs/a.md": "three\n"}
        assert 0 < len(server.requests) <= 2
    assert world.text(world.third, "docs/*.md", "README.md", url=url, offline=True) == {
        "README.md": "read\n",
        "docs/a.md": "three\n",
    }


def test_no_history_comes_along(world: World) -> None:
    world.get(world.third)
    place = next(world.cache.glob(f"git/*/{world.third}"))
    assert git(place, "rev-list", "--all", "--count") == "0"
    held = git(place, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype)").split()
    assert held.count("commit") == 1
    assert "tag" not in held


def test_through_ssh(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program named ssh stands in for it; it notes how it was called, and serves."""
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/called\nfor last; do :; done\nexec sh -c "$last"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    for url in (f"ssh://git@example.org:2222{world.bare}", f"git@example.org:{world.bare}"):
        assert world.text(world.second, "docs/*.md", url=url) == {"docs/a.md": "two\n"}
    called = (tmp_path / "called").read_text()
    assert "BatchMode=yes" in called
    assert "-p 2222 git@example.org git-upload-pack" in called


def test_a_repository_of_sha256(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    git(tmp_path / "r", "init", "--quiet", "--object-format=sha256")
    made = commit(tmp_path / "r", {"a.md": "one\n"})
    for name in (made, "main"):
        got = fetch(f"file://{tmp_path}/r", name, ["a.md"], cache=tmp_path / "cache")
        assert got is not None
        assert (got.commit, got.files[0].data) == (made, b"one\n")


# Names that move.


def test_a_branch_that_moves_is_said_and_offline_means_what_it_meant(world: World) -> None:
    before = world.get("main", "docs/a.md")
    assert before is not None
    assert before.commit == world.third
    assert world.third[:12] in before.moved
    fourth = commit(world.work, {"docs/a.md": "four\n"})
    world.publish()
    kept = world.get("main", "docs/a.md", offline=True)
    assert kept is not None
    assert (kept.commit, kept.files) == (world.third, before.files)
    assert f"main meant {world.third[:12]}" in kept.moved
    after = world.get("main", "docs/a.md")
    assert after is not None
    assert (after.commit, after.files[0].data) == (fourth, b"four\n")
    assert fourth[:12] in after.moved
    assert world.third[:12] in after.moved
    kept = world.get("main", "docs/a.md", offline=True)
    assert kept is not None
    assert kept.commit == fourth


def test_a_commit_that_was_pushed_away_is_still_in_the_cache(world: World) -> None:
    world.get(world.third)
    git(world.work, "reset", "--quiet", "--hard", world.first)
    moved = commit(world.work, {"docs/a.md": "other\n"})
    world.publish()
    git(world.bare, "reflog", "expire", "--expire=now", "--all")
    git(world.bare, "gc", "--quiet", "--prune=now")
    assert world.text(world.third, "docs/a.md") == {"docs/a.md": "three\n"}
    after = world.get("main", "docs/a.md")
    assert after is not None
    assert after.commit == moved
    assert trouble(lambda: world.get(world.second)).part == "commit"


def test_a_branch_that_is_gone_names_what_it_meant(world: World) -> None:
    git(world.work, "branch", "topic", world.second)
    world.publish()
    world.get("topic")
    git(world.work, "branch", "--quiet", "-D", "topic")
    world.publish()
    gone = trouble(lambda: world.get("topic"))
    assert gone.part == "commit"
    assert "topic" in gone.what
    assert world.second in gone.mend


def test_a_server_that_is_gone_leaves_a_branch_what_it_meant(world: World) -> None:
    with serving(smart(world.bare.parent)) as server:
        url = f"{server.url}/r.git"
        world.get("main", url=url)
    got = world.get("main", url=url)
    assert got is not None
    assert got.commit == world.third
    assert "cannot be reached" in got.moved


def test_a_name_that_is_both_a_branch_and_a_tag(world: World) -> None:
    git(world.bare, "branch", "v1", world.second)
    assert trouble(lambda: world.get("v1")).part == "commit"
    assert world.text("refs/tags/v1", "docs/a.md") == {"docs/a.md": "one\n"}
    assert world.text("refs/heads/v1", "docs/a.md") == {"docs/a.md": "two\n"}


def test_the_id_of_a_tag_names_the_commit_to_write(world: World) -> None:
    tag = git(world.bare, "rev-parse", "refs/tags/v1")
    wrong = trouble(lambda: world.get(tag))
    assert wrong.part == "commit"
    assert world.first in wrong.mend


def test_a_short_id_that_means_several_commits(tmp_path: Path) -> None:
    work = started(tmp_path / "work")
    made: dict[str, str] = {}
    while True:
        new = commit(work, {"a.md": f"{len(made)}\n"})
        if new[:2] in made:
            break
        made[new[:2]] = new
    # No id of two digits is asked for: git itself takes four at least.
    assert trouble(lambda: fetch(f"file://{work}", new[:2], ["a.md"], cache=tmp_path / "c")).part == "commit"


# Troubles, each with the part of the leaf that is to blame.


def test_offline_without_a_cache_is_none_and_makes_none(world: World) -> None:
    assert world.get("main", offline=True) is None
    assert not world.cache.exists()


@pytest.mark.parametrize(
    ("commit", "patterns", "part", "word"),
    [
        ("1" * 40, ["*.md"], "commit", "1" * 40),
        ("1" * 7, ["*.md"], "commit", "1" * 7),
        ("nowhere", ["*.md"], "commit", "nowhere"),
        ("main", ["docs/c.md"], "patterns", "docs/c.md"),
        ("main", ["docs/*.md", "*.rst"], "patterns", "*.rst"),
        ("main", [], "patterns", "0 patterns"),
    ],
)
def test_what_is_not_there(world: World, commit: str, patterns: list[str], part: str, word: str) -> None:
    missing = trouble(lambda: fetch(world.url, commit, patterns, cache=world.cache))
    assert missing.part == part
    assert word in missing.what
    assert missing.mend
    assert isinstance(missing, FeldsparError)


def test_a_pattern_that_means_nothing_shows_what_is_there(world: World) -> None:
    assert "README.md" in trouble(lambda: world.get("main", "README.txt")).mend
    assert "docs/*.md" in trouble(lambda: world.get("main", "docs")).mend


def test_no_repository(world: World) -> None:
    assert trouble(lambda: world.get("main", url=f"file://{world.root}/none")).part == "repo"
    with serving(smart(world.bare.parent)) as server:
        gone = trouble(lambda: world.get("main", url=f"{server.url}/none.git"))
    assert (gone.part, "no repository" in gone.what) == ("repo", True)


def test_no_network(world: World) -> None:
    with serving(smart(world.bare.parent)) as server:
        url = f"{server.url}/r.git"
    for name in ("main", world.first):
        gone = trouble(lambda name=name: world.get(name, url=url))  # type: ignore[misc]
        assert (gone.part, "cannot be reached" in gone.what) == ("repo", True)


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_wants_a_password_is_not_given_one(
    world: World, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = world.root / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine 127.0.0.1 login writer password hunter2\n")
    (home / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    (home / ".git-credentials").write_text("http://writer:hunter2@127.0.0.1\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_ASKPASS", "echo")
    sent: list[str | None] = []

    def answer(handler: Handler) -> None:
        sent.append(handler.headers.get("Authorization"))
        reply(handler, status, b"", ("WWW-Authenticate", 'Basic realm="docs"'))

    with serving(answer) as server:
        asked = trouble(lambda: world.get("main", url=f"{server.url}/r.git"))
    assert asked.part == "repo"
    assert "password" in asked.what
    assert "ssh" in asked.mend
    assert {*sent} == {None}


def test_a_renamed_repository_is_followed(world: World) -> None:
    serve = smart(world.bare.parent)

    def answer(handler: Handler) -> None:
        if handler.path.startswith("/old"):
            reply(handler, 301, b"", ("Location", handler.path.replace("/old", "/r", 1)))
        else:
            serve(handler)

    with serving(answer) as server:
        assert world.text(world.second, "docs/a.md", url=f"{server.url}/old.git") == {"docs/a.md": "two\n"}


def test_without_git(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(world.root))
    assert "not installed" in trouble(lambda: world.get("main")).what
    assert "not installed" in trouble(lambda: run_git(["status"], cwd=world.work)).what


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (Limits(files=1), "1 files"),
        (Limits(file_bytes=5), "5 that"),
        (Limits(all_bytes=8), "8 that"),
        (Limits(disk=100), "100 bytes"),
        (Limits(seconds=0.0), "longer"),
    ],
)
def test_limits_are_said(world: World, limits: Limits, word: str) -> None:
    over = trouble(lambda: fetch(world.url, world.third, ["**/*.md"], cache=world.cache, limits=limits))
    assert word in over.what
    assert over.mend


def test_files_kept_elsewhere_are_not_taken_for_documents(tmp_path: Path) -> None:
    work = started(tmp_path / "work")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    made = commit(work, {"a.pdf": pointer})
    kept = trouble(lambda: fetch(f"file://{work}", made, ["a.pdf"], cache=tmp_path / "c"))
    assert (kept.part, "LFS" in kept.what) == ("patterns", True)


# Questions to a repository at hand.


def test_questions_to_a_repository(world: World) -> None:
    assert run_git(["rev-parse", "HEAD"], cwd=world.work).decode().strip() == world.third
    assert "git failed" in trouble(lambda: run_git(["rev-parse", "--verify", "none"], cwd=world.work)).what
    assert "no git repository" in trouble(lambda: run_git(["status"], cwd=world.root)).what
    assert "no folder" in trouble(lambda: run_git(["status"], cwd=world.root / "none")).what
    assert "cannot be started" in trouble(lambda: run_git(["a\0b"], cwd=world.work)).what
    many = trouble(
        lambda: run_git(["cat-file", "--batch-all-objects", "--batch"], cwd=world.work, most_bytes=50)
    )
    assert "50 bytes" in many.what


@pytest.fixture
def of_another(world: World) -> Path:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    for path in (world.work, world.work / ".git"):
        os.chown(path, 12345, 12345)
    return world.work


def test_the_repository_of_another_user_is_read_only_where_its_reader_said_so(
    of_another: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    refused = trouble(lambda: run_git(["rev-parse", "HEAD"], cwd=of_another))
    assert "another user" in refused.what
    assert "safe.directory" in refused.mend
    (home / ".gitconfig").write_text(f"[safe]\n\tdirectory = {of_another}\n[alias]\n\tx = !false\n")
    assert run_git(["rev-parse", "HEAD"], cwd=of_another)
