"""Repositories, servers and surroundings that mean harm: nothing runs, leaks, fills the disk or hangs."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.taxonomy.git_world import (
    Handler,
    World,
    blob,
    commit,
    dumb,
    git,
    reply,
    serving,
    smart,
    tree_commit,
    trouble,
)

import feldspar.taxonomy.git
from feldspar.taxonomy.git import GitTrouble, Limits, fetch, run_git
from feldspar.taxonomy.git.bounded import folder_size
from feldspar.taxonomy.git.names import read_pattern
from feldspar.taxonomy.git.objects import read_files
from feldspar.taxonomy.git.runner import Said

SRC = Path(feldspar.taxonomy.git.__file__).parents[3]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """None of these may take long, or make the file `ran`."""
    made = World(tmp_path)
    began = time.monotonic()
    yield made
    assert time.monotonic() - began < 10
    assert not list(tmp_path.rglob("ran*"))


def touch(world: World) -> str:
    """A command of the shell that must never run."""
    return f"touch {shlex.quote(str(world.root / 'ran'))}; false"


def program(world: World, name: str) -> Path:
    """A program that must never run."""
    path = world.root / "programs" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{touch(world)}\n")
    path.chmod(0o755)
    return path


# Names.


@pytest.mark.parametrize(
    "form", ["--upload-pack={0}", "-u{0}", "ext::sh -c {0}", "ext::{0}", "fd::3", "file://{0}", "{0}"]
)
def test_an_address_that_is_a_command(world: World, form: str) -> None:
    refused = trouble(lambda: world.get("main", url=form.format(f"touch {world.root}/ran")))
    assert refused.part == "repo"
    assert not world.cache.exists()


@pytest.mark.parametrize(
    "name", ["--upload-pack=touch ran", "-x", "--output=ran", "main --upload-pack=x", "main:docs"]
)
def test_a_commit_that_is_an_option(world: World, name: str) -> None:
    assert trouble(lambda: world.get(name)).part == "commit"
    assert not world.cache.exists()


@pytest.mark.parametrize("pattern", ["../../etc/*", "/etc/passwd", "docs/../../../etc/*", "..\\..\\etc\\*"])
def test_a_pattern_that_leads_out(world: World, pattern: str) -> None:
    assert trouble(lambda: world.get("main", pattern)).part == "patterns"
    assert not world.cache.exists()


# What a commit holds.


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../etc/passwd", "../../outside.md", "a.md"])
def test_links_are_not_followed(world: World, target: str) -> None:
    (world.root / "outside.md").write_text("secret")
    os.symlink(target, world.work / "docs" / "link.md")
    made = commit(world.work, {})
    for pattern in ("docs/link.md", "docs/*.md"):
        refused = trouble(lambda pattern=pattern: world.get(made, pattern, url=f"file://{world.work}"))  # type: ignore[misc]
        assert refused.part == "patterns"
        assert "'docs/link.md' is a symbolic link" in refused.what
    assert world.text(made, "README.md", url=f"file://{world.work}") == {"README.md": "read\n"}


def test_a_folder_that_is_a_link_holds_nothing(world: World) -> None:
    os.symlink("/etc", world.work / "etc")
    made = commit(world.work, {})
    assert trouble(lambda: world.get(made, "etc/passwd", url=f"file://{world.work}")).part == "patterns"
    assert trouble(lambda: world.get(made, "etc/*", url=f"file://{world.work}")).part == "patterns"


def test_submodules_are_passed_over(world: World) -> None:
    modules = f'[submodule "sub"]\n\tpath = sub\n\turl = {world.bare}\n\tupdate = none\n'
    (world.work / ".gitmodules").write_text(modules)
    git(world.work, "update-index", "--add", "--cacheinfo", f"160000,{world.first},sub")
    git(world.work, "add", ".gitmodules")
    git(world.work, "commit", "--quiet", "--message", "as said")
    made = git(world.work, "rev-parse", "HEAD")
    assert world.text(made, "*", url=f"file://{world.work}") == {"README.md": "read\n"}
    assert trouble(lambda: world.get(made, "sub/README.md", url=f"file://{world.work}")).part == "patterns"
    assert not list(world.cache.rglob("modules"))


@pytest.mark.parametrize("name", [b"..", b".", b".git", b"a/../../x.md", b"/etc"])
def test_names_that_no_tree_may_hold(world: World, name: bytes) -> None:
    file = blob(world.work, b"harm\n")
    made = tree_commit(world.work, [("100644", file, name), ("100644", file, b"x.md")])
    assert trouble(lambda: world.get(made, "**/*", url=f"file://{world.work}")).part == "repo"


@pytest.mark.parametrize("name", [b"a\nb.md", b"a\x1b[31m.md", b"a\\b.md", b"\xff\xfe.md", b"a\rb.md"])
def test_names_that_no_document_may_have(world: World, name: bytes) -> None:
    file = blob(world.work, b"text\n")
    made = tree_commit(
        world.work, sorted([("100644", file, name), ("100644", file, b"x.md")], key=lambda e: e[2])
    )
    refused = trouble(lambda: world.get(made, "*.md", url=f"file://{world.work}"))
    assert refused.part == "patterns"
    assert (refused.what + refused.mend).isprintable()
    assert world.text(made, "x.md", url=f"file://{world.work}") == {"x.md": "text\n"}


def test_a_tree_of_ten_thousand_million_names(world: World) -> None:
    """Ten levels, each of ten times the one below: a few hundred bytes of objects."""
    entry = ("100644", blob(world.work, b"x"))
    for _ in range(10):
        lines = "".join(
            f"{entry[0]} {'blob' if entry[0] == '100644' else 'tree'} {entry[1]}\td{n}\n" for n in range(10)
        )
        entry = ("40000", git(world.work, "mktree", feed=lines.replace("40000 ", "040000 ").encode()))
    made = git(world.work, "commit-tree", "-m", "as said", entry[1])
    git(world.work, "update-ref", "refs/heads/main", made)
    stopped = trouble(lambda: world.get(made, "**/*.md", url=f"file://{world.work}"))
    assert "bytes" in stopped.what


def test_comparing_names_ends_in_time() -> None:
    names = "".join(f"100644 blob {1:040x}\t{'a/' * 2000}{n}\0" for n in range(1000)).encode()
    pattern = read_pattern("/".join(["**", "*a*"] * 100) + "/**/*.md")
    began = time.monotonic()
    late = trouble(
        lambda: read_files(
            lambda *_: Said(0, names, ""), "1" * 40, [pattern], Limits(), time.monotonic() + 0.5
        )
    )
    assert "too long" in late.what
    assert time.monotonic() - began < 5


def large(folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
    fast = ("-c", "core.compression=0", "-c", "core.bigFileThreshold=1m")
    git(folder, *fast, "add", name)
    git(folder, "commit", "--quiet", "--message", "as said")


@pytest.fixture
def heavy(world: World) -> World:
    """150 MB that no packing makes smaller, in commits before the last."""
    for name in "abc":
        large(world.work, f"{name}.bin", os.urandom(50_000_000))
    git(world.work, "rm", "--quiet", *(f"{name}.bin" for name in "abc"))
    commit(world.work, {"docs/a.md": "last\n"})
    world.url = f"file://{world.work}"
    return world


def test_a_long_history_stays_where_it_is(heavy: World) -> None:
    for name in ("main", git(heavy.work, "rev-parse", "HEAD")):
        assert heavy.text(name, "docs/a.md") == {"docs/a.md": "last\n"}
    with serving(smart(heavy.root, 0)) as server:
        assert heavy.text("main", "docs/a.md", url=f"{server.url}/work/.git") == {"docs/a.md": "last\n"}
    assert folder_size(heavy.cache) < 100_000


def test_where_all_of_history_must_come_it_comes_in_bounds(heavy: World) -> None:
    git(heavy.work, "update-server-info")
    limits = Limits(disk=20_000_000)
    with serving(dumb(heavy.root)) as server:
        url = f"{server.url}/work/.git"
        stopped = trouble(lambda: fetch(url, "main", ["docs/a.md"], cache=heavy.cache, limits=limits))
    assert "20,000,000 bytes" in stopped.what
    short = git(heavy.work, "rev-parse", "--short", "HEAD")
    stopped = trouble(lambda: fetch(heavy.url, short, ["docs/a.md"], cache=heavy.cache, limits=limits))
    assert "the full id" in stopped.mend
    assert folder_size(heavy.cache) < 100_000


def test_a_file_that_is_too_large_is_named_and_not_read(world: World) -> None:
    large(world.work, "big.md", b"x" * 21_000_000)
    refused = trouble(lambda: world.get("main", "big.md", url=f"file://{world.work}"))
    assert (refused.part, "big.md has 21,000,000 bytes" in refused.what) == ("patterns", True)


# What a repository of this machine has set up.


def arm(world: World, folder: Path) -> None:
    """Everything in a repository's own configuration that could have git run a program."""
    command = touch(world)
    for hook in (
        "post-checkout",
        "reference-transaction",
        "post-index-change",
        "pre-receive",
        "post-update",
        "fsmonitor-watchman",
    ):
        path = folder / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{command}\n")
        path.chmod(0o755)
    for key in (
        *("core.fsmonitor", "core.sshCommand", "core.askPass", "core.pager", "core.editor", "core.gitProxy"),
        *("core.alternateRefsCommand", "diff.external", "diff.evil.textconv", "diff.evil.command"),
        *("filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "merge.evil.driver"),
        *("uploadpack.packObjectsHook", "credential.helper", "gpg.program", "gpg.ssh.program", "pager.log"),
        *("remote.origin.uploadpack", "alias.status", "alias.upload-pack", "interactive.diffFilter"),
    ):
        value = f"!{command}" if key.startswith(("alias.", "credential.")) else command
        git(folder, "config", key, value)
    git(folder, "config", "filter.evil.required", "true")
    git(folder, "config", "core.hooksPath", str(folder / "hooks"))
    git(folder, "config", "log.showSignature", "true")
    (folder / "info").mkdir(exist_ok=True)
    (folder / "info" / "attributes").write_text("* diff=evil filter=evil merge=evil\n")


def test_a_repository_that_would_run_programs_when_fetched_from(world: World) -> None:
    arm(world, world.bare)
    for name in ("main", world.second, world.first[:8]):
        assert world.get(name, "docs/*.md") is not None


def test_a_repository_that_would_fetch_what_it_lacks(world: World) -> None:
    """A partial clone whose missing files would be brought by a program of its choice."""
    world.configure("allowFilter")
    git(world.root, "clone", "--quiet", "--bare", "--filter=blob:none", world.url, "partial.git")
    partial = world.root / "partial.git"
    for how in ("uploadpack", "url"):
        git(
            partial,
            "config",
            f"remote.origin.{how}",
            touch(world) if how == "uploadpack" else f"ext::sh -c touch% {world.root}/ran",
        )
        git(partial, "config", "protocol.ext.allow", "always")
        for offered in ("true", "false"):
            git(partial, "config", "uploadpack.allowFilter", offered)
            assert trouble(lambda: world.get(world.third, url=f"file://{partial}")).part == "repo"


QUESTIONS = (
    "status --porcelain --ignore-submodules=all",
    "diff --no-ext-diff --no-textconv --name-only",
    "diff --no-ext-diff --no-textconv HEAD",
    "diff --cached --no-textconv --no-ext-diff",
    "diff-index --name-only HEAD",
    "ls-files -z --modified --others --exclude-standard",
    "log -p -1 --show-signature --no-ext-diff --no-textconv",
    "rev-parse HEAD",
    "cat-file --filters HEAD:docs/a.md",
)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_repository_that_would_run_programs_when_asked(world: World, question: str) -> None:
    arm(world, world.work / ".git")
    (world.work / "docs" / "a.md").write_text("changed\n")
    (world.work / ".gitattributes").write_text("* filter=evil diff=evil\n")
    os.utime(world.work / "README.md", (1, 1))
    run_git(question.split(), cwd=world.work)


def test_a_patch_that_only_a_program_could_make_is_refused(world: World) -> None:
    (world.work / "docs" / "a.md").write_text("changed\n")
    assert b"+changed" in run_git(["diff", "HEAD"], cwd=world.work)
    arm(world, world.work / ".git")
    assert "git failed" in trouble(lambda: run_git(["diff", "HEAD"], cwd=world.work)).what


def test_the_armed_repository_does_run_programs_for_others(tmp_path: Path) -> None:
    """Or the tests above would show nothing."""
    world = World(tmp_path)
    arm(world, world.work / ".git")
    for question in ("status", "diff HEAD", "cat-file --filters HEAD:docs/a.md"):
        (tmp_path / "ran").unlink(missing_ok=True)
        subprocess.run(["git", *question.split()], cwd=world.work, capture_output=True)
        assert (tmp_path / "ran").exists(), question


@pytest.mark.parametrize("name", ["a=b", "a\\nb", "x = y"])
def test_a_driver_whose_name_would_hide_it(world: World, name: str) -> None:
    config = world.work / ".git" / "config"
    config.write_text(f'{config.read_text()}[filter "{name}"]\n\tclean = {touch(world).replace(";", " #")}\n')
    (world.work / ".git" / "info" / "attributes").write_text(f'* "filter={name}"\ndocs/a.md filter={name}\n')
    (world.work / "docs" / "a.md").write_text("changed\n")
    if "=" in name:
        assert "a driver with =" in trouble(lambda: run_git(["diff", "--name-only"], cwd=world.work)).what
    else:
        run_git(["diff", "--name-only"], cwd=world.work)


def test_a_missing_file_of_a_repository_at_hand_is_not_fetched(world: World) -> None:
    world.configure("allowFilter")
    git(world.root, "clone", "--quiet", "--bare", "--filter=blob:none", world.url, "partial.git")
    partial = world.root / "partial.git"
    git(partial, "config", "remote.origin.uploadpack", touch(world))
    assert "git failed" in trouble(lambda: run_git(["cat-file", "blob", "HEAD:docs/a.md"], cwd=partial)).what


# Surroundings.


def test_nothing_of_the_callers_git_is_used(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    command = str(program(world, "evil"))
    home = world.root / "home"
    (home / ".config" / "git").mkdir(parents=True)
    text = f"[core]\n\tsshCommand = {command}\n\thooksPath = {home}\n\tfsmonitor = {command}\n"
    text += '[url "file:///nowhere"]\n\tinsteadOf = file:\n'
    for path in (home / ".gitconfig", home / ".config" / "git" / "config", home / "system"):
        path.write_text(text)
    given = {
        "HOME": home,
        "XDG_CONFIG_HOME": home / ".config",
        "GIT_CONFIG_SYSTEM": home / "system",
        "GIT_CONFIG_GLOBAL": home / "system",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "url.file:///nowhere.insteadOf",
        "GIT_CONFIG_VALUE_0": "file:",
        "GIT_CONFIG_PARAMETERS": "'url.file:///nowhere.insteadof=file:'",
        "GIT_DIR": home,
        "GIT_WORK_TREE": home,
        "GIT_INDEX_FILE": home / "index",
        "GIT_OBJECT_DIRECTORY": home / "objects",
        "GIT_EXEC_PATH": home,
        "GIT_TEMPLATE_DIR": home,
        "GIT_SSH": command,
        "GIT_SSH_COMMAND": command,
        "GIT_ASKPASS": command,
        "GIT_PROXY_COMMAND": command,
        "GIT_EXTERNAL_DIFF": command,
        "GIT_PAGER": command,
        "GIT_TRACE": world.root / "ran-trace",
        "GIT_TRACE2_EVENT": world.root / "ran-trace2",
        "GIT_ALLOW_PROTOCOL": "ext",
        "LC_ALL": "de_DE.UTF-8",
        "LANGUAGE": "de",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, str(value))
    assert world.text("main", "docs/a.md") == {"docs/a.md": "three\n"}
    assert "no commit" in trouble(lambda: world.get("1" * 40)).what
    assert run_git(["rev-parse", "--show-toplevel"], cwd=world.work).decode().strip() == str(world.work)
    trouble(lambda: world.get("main", url=f"git@127.0.0.1:{world.root}"))


def test_no_program_named_git_is_run_from_the_repository(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = program(world, "git")
    (world.work / "git").write_bytes(evil.read_bytes())
    (world.work / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f":.{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(world.work)
    assert run_git(["rev-parse", "HEAD"], cwd=world.work).decode().strip() == world.third


# Servers.


def line(data: bytes) -> bytes:
    """A line of git's protocol."""
    return f"{len(data) + 4:04x}".encode() + data


def advertise(handler: Handler, oid: str) -> None:
    """Of version 0: one branch, and no more abilities than needed to be given a pack."""
    head = line(b"# service=git-upload-pack\n") + b"0000"
    first = line(f"{oid} refs/heads/main\0shallow allow-tip-sha1-in-want ofs-delta agent=git/2\n".encode())
    fields = ("Content-Type", "application/x-git-upload-pack-advertisement")
    reply(handler, 200, head + first + b"0000", fields)


def result(handler: Handler) -> None:
    """The beginning of an answer that has no length; what follows is up to the caller."""
    handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    handler.send_response(200)
    handler.send_header("Content-Type", "application/x-git-upload-pack-result")
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True


WANTED = "1" * 40


def given(pack: Callable[[Handler], None], oid: str = WANTED) -> Callable[[Handler], None]:
    """A server that offers a commit, and sends what a function writes for a pack."""

    def answer(handler: Handler) -> None:
        if handler.command == "GET":
            advertise(handler, oid)
            return
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        handler.headers.replace_header("Content-Length", "0")
        result(handler)
        handler.wfile.write(line(f"shallow {oid}".encode()) + b"0000")
        if b"done" in body:
            handler.wfile.write(line(b"NAK\n"))
            pack(handler)

    return answer


def endless(piece: bytes, pause: float) -> Callable[[Handler], None]:
    def write(handler: Handler) -> None:
        while True:
            handler.wfile.write(piece)
            handler.wfile.flush()
            time.sleep(pause)

    return write


def asked(world: World, url: str, limits: Limits) -> GitTrouble:
    return trouble(lambda: fetch(f"{url}/r.git", WANTED, ["*.md"], cache=world.cache, limits=limits))


def test_a_server_that_hangs(world: World) -> None:
    with serving(lambda handler: time.sleep(4)) as server:
        began = time.monotonic()
        assert "longer than 1 seconds" in asked(world, server.url, Limits(seconds=1)).what
        assert time.monotonic() - began < 3


def test_a_server_that_trickles(world: World) -> None:
    # An object of a megabyte, a byte at a time.
    head = b"PACK\0\0\0\2\0\0\0\1" + packed(3, 1 << 20, b"\x78\x01\0\xff\xff\0\0")

    def write(handler: Handler) -> None:
        handler.wfile.write(head)
        endless(b"x", 0.05)(handler)

    with serving(given(write)) as server:
        began = time.monotonic()
        assert "longer than 1 seconds" in asked(world, server.url, Limits(seconds=1)).what
        assert time.monotonic() - began < 3


def test_a_server_that_never_ends(world: World) -> None:
    head = b"PACK\0\0\0\2\0\1\0\0"
    stored = zlib.compressobj(0)
    # One object of any size that is not yet over, and would be 2 GB.
    begin = (
        b"\xb0" + b"\x80\x80\x80\x40" + stored.compress(os.urandom(1 << 20)) + stored.flush(zlib.Z_SYNC_FLUSH)
    )

    def write(handler: Handler) -> None:
        handler.wfile.write(head + begin)
        while True:
            handler.wfile.write(stored.compress(os.urandom(1 << 20)) + stored.flush(zlib.Z_SYNC_FLUSH))

    with serving(given(write)) as server:
        stopped = asked(world, server.url, Limits(seconds=8, disk=20_000_000))
    assert stopped.what
    assert folder_size(world.cache) < 100_000


MEASURED = """
import resource, sys
from pathlib import Path
from feldspar.taxonomy.git import GitTrouble, fetch
try:
    fetch(sys.argv[1], sys.argv[2], ["*.md"], cache=Path(sys.argv[3]))
except GitTrouble as trouble:
    print(trouble.what)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def measured(world: World, url: str) -> tuple[str, int]:
    """What is said, and the memory in kB that the largest git process took."""
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    command = [sys.executable, "-c", MEASURED, f"{url}/r.git", WANTED, str(world.cache)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    *told, size = done.stdout.splitlines()
    return "\n".join(told), int(size)


def test_a_server_that_lists_branches_without_end(world: World) -> None:
    many = b"".join(line(f"{n:040x} refs/heads/b{n:060}\n".encode()) for n in range(10_000))

    def answer(handler: Handler) -> None:
        result(handler)
        handler.wfile.write(line(b"# service=git-upload-pack\n") + b"0000")
        endless(many, 0)(handler)

    with serving(answer) as server:
        told, size = measured(world, server.url)
    assert told
    assert size < 1 << 20


def packed(kind: int, size: int, data: bytes, base: bytes = b"") -> bytes:
    """An object of a pack, whose size is what it says."""
    head, byte = b"", kind << 4 | size & 15
    size >>= 4
    while size:
        head, byte, size = head + bytes([byte | 0x80]), size & 0x7F, size >> 7
    return head + bytes([byte]) + base + data


def number(value: int) -> bytes:
    return (bytes([value & 0x7F | 0x80]) + number(value >> 7)) if value > 0x7F else bytes([value])


def test_a_pack_of_16_kb_that_would_be_10_gb(world: World) -> None:
    """A difference that copies 16 MB of zeros 640 times."""
    zeros = bytes(0xFFFFFF)
    oid = hashlib.sha1(b"blob %d\0" % len(zeros) + zeros).digest()
    copies = number(len(zeros)) + number(640 * len(zeros)) + b"\xf0\xff\xff\xff" * 640
    objects = packed(3, len(zeros), zlib.compress(zeros, 9)) + packed(
        7, len(copies), zlib.compress(copies), oid
    )
    pack = b"PACK\0\0\0\2\0\0\0\2" + objects
    pack += hashlib.sha1(pack).digest()
    assert len(pack) < 20_000
    with serving(given(lambda handler: handler.wfile.write(pack) and None)) as server:
        told, size = measured(world, server.url)
    assert "objects that git refuses" in told
    assert size < 500_000


def test_a_server_that_sends_something_else(world: World) -> None:
    head = b"PACK\0\0\0\2\0\0\0\1" + packed(3, 2, zlib.compress(b"x\n"))
    for pack in (head + hashlib.sha1(head).digest(), head + bytes(20), b"PACK", b"<html>", b""):
        with serving(given(lambda handler, pack=pack: handler.wfile.write(pack) and None)) as server:  # type: ignore[misc]
            assert asked(world, server.url, Limits(seconds=5)).part == "repo"
    assert not [path for path in world.cache.glob("git/*/*") if path.name != "lock"]


@pytest.mark.parametrize(
    "target", ["file://{root}/served/r.git", "ext::sh -c touch% {root}/ran", "ftp://127.0.0.1/", "ssh://x/y"]
)
def test_a_server_that_sends_one_elsewhere(world: World, target: str) -> None:
    where = target.format(root=world.root)
    with serving(lambda handler: reply(handler, 302, b"", ("Location", where + "/info/refs"))) as server:
        refused = asked(world, server.url, Limits(seconds=5))
    assert refused.part == "repo"
    assert "may not follow" in refused.what, refused.what


def test_a_server_that_sends_one_round(world: World) -> None:
    with serving(lambda handler: reply(handler, 302, b"", ("Location", "/a" + handler.path))) as server:
        assert asked(world, server.url, Limits(seconds=5)).part == "repo"


def test_what_is_asked_later_is_not_sent_on(world: World) -> None:
    """Only the first question may be: an answer from elsewhere could be anybody's."""
    serve = smart(world.bare.parent)

    def answer(handler: Handler) -> None:
        if handler.command == "POST" and not handler.path.startswith("/elsewhere"):
            reply(handler, 307, b"", ("Location", f"/elsewhere{handler.path}"))
        else:
            handler.path = handler.path.removeprefix("/elsewhere")
            serve(handler)

    with serving(answer) as server:
        assert trouble(lambda: world.get(world.third, url=f"{server.url}/r.git")).part == "repo"
        assert not [request for request in server.requests if "elsewhere" in request]


def test_a_server_that_answers_with_a_page(world: World) -> None:
    page = b"<!doctype html><title>Sign in</title>"
    with serving(lambda handler: reply(handler, 200, page, ("Content-Type", "text/html"))) as server:
        told = asked(world, server.url, Limits(seconds=5))
        assert (told.part, "is no git repository" in told.what) == ("repo", True)
        told = trouble(lambda: world.get("main", url=f"{server.url}/r.git"))
        assert (told.part, "is no git repository" in told.what) == ("repo", True)


def test_a_complaint_that_would_move_the_cursor(world: World) -> None:
    def answer(handler: Handler) -> None:
        body = line(b"# service=git-upload-pack\n") + b"0000" + line(b"ERR \x1b[2J\x07\r::error::evil\n")
        reply(handler, 200, body, ("Content-Type", "application/x-git-upload-pack-advertisement"))

    with serving(answer) as server:
        told = asked(world, server.url, Limits(seconds=5))
    assert "evil" in told.what
    assert told.what.isprintable()


def test_what_git_has_started_dies_with_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = world.root / "programs" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(f"#!/bin/sh\nsleep 60 &\necho $! $$ > {world.root}/started\nwait\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}{os.pathsep}{os.environ['PATH']}")
    stopped = trouble(
        lambda: fetch("git@example.org:x", "main", ["*"], cache=world.cache, limits=Limits(seconds=1))
    )
    assert "longer" in stopped.what
    for pid in (world.root / "started").read_text().split():
        until = time.monotonic() + 5
        while alive(int(pid)) and time.monotonic() < until:
            time.sleep(0.01)
        assert not alive(int(pid))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_repository_of_another_user_is_named(world: World) -> None:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(world.bare, 12345, 12345)
    assert "another user" in trouble(lambda: world.get("main")).what
