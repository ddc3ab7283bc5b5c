"""Real git repositories, and servers of each kind that gives them out, on this machine alone."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from feldspar.taxonomy.git import Fetched, GitTrouble, fetch

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A Writer",
    "GIT_AUTHOR_EMAIL": "writer@example.org",
    "GIT_COMMITTER_NAME": "A Writer",
    "GIT_COMMITTER_EMAIL": "writer@example.org",
    "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z",
}


def git(folder: Path, *arguments: str, feed: bytes = b"") -> str:
    """Git as the owner of a repository runs it."""
    command = ["git", "-c", "init.defaultBranch=main", *arguments]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, input=feed, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def started(folder: Path) -> Path:
    """An empty repository with a work tree."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    return folder


def commit(folder: Path, files: Mapping[str, str | bytes]) -> str:
    """Commit files, and say the commit's id."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "as said")
    return git(folder, "rev-parse", "HEAD")


def tree_commit(folder: Path, entries: list[tuple[str, str, bytes]]) -> str:
    """Commit a tree of entries (mode, object, name) that no work tree could hold; it becomes `main`."""
    tree = b"".join(f"{mode} ".encode() + name + b"\0" + bytes.fromhex(oid) for mode, oid, name in entries)
    arguments = ("hash-object", "-t", "tree", "-w", "--literally", "--stdin")
    made = git(folder, "commit-tree", "-m", "as said", git(folder, *arguments, feed=tree))
    git(folder, "update-ref", "refs/heads/main", made)
    return made


def blob(folder: Path, data: bytes) -> str:
    return git(folder, "hash-object", "-w", "--stdin", feed=data)


@dataclass(slots=True)
class Server:
    """A server of this machine, and what was asked of it."""

    url: str
    requests: list[str] = field(default_factory=list)


class _Handler(http.server.BaseHTTPRequestHandler):
    """Hands each request to a function, which may also do without any answer."""

    def __init__(self, answer: Callable[[_Handler], None], server: Server, *rest: object) -> None:
        self.answer, self.told = answer, server
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.told.requests.append(f"{self.command} {self.path}")
        try:
            self.answer(self)
        except (BrokenPipeError, ConnectionResetError):
            # Who asked has gone, as it may.
            self.close_connection = True

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


Handler = _Handler


@contextmanager
def serving(answer: Callable[[Handler], None]) -> Iterator[Server]:
    """A web server that answers with a function."""
    told = Server("")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, answer, told))
    server.daemon_threads = True
    server.block_on_close = False
    told.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def smart(root: Path, version: int = 2) -> Callable[[Handler], None]:
    """Git's own server behind the web server; version 0 gives ids only as it is configured to."""

    def answer(handler: Handler) -> None:
        path, _, query = handler.path.partition("?")
        length = int(handler.headers.get("Content-Length") or 0)
        environment = {
            **ENVIRONMENT,
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": handler.command,
            "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": handler.headers.get("Content-Encoding", ""),
        }
        if version == 2:
            environment["GIT_PROTOCOL"] = handler.headers.get("Git-Protocol", "")
        body = handler.rfile.read(length)
        command = ["git", "http-backend"]
        done = subprocess.run(command, env=environment, input=body, capture_output=True, timeout=60)
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        status = next((value.split()[0] for name, value in fields if name == "Status"), "200")
        reply(handler, int(status), rest, *((name, value) for name, value in fields if name != "Status"))

    return answer


def dumb(root: Path) -> Callable[[Handler], None]:
    """A server that only hands out files; `git update-server-info` has written what it needs."""

    def answer(handler: Handler) -> None:
        path = root / handler.path.partition("?")[0].lstrip("/")
        if path.is_file():
            reply(handler, 200, path.read_bytes(), ("Content-Type", "application/octet-stream"))
        else:
            reply(handler, 404, b"")

    return answer


def reply(handler: Handler, status: int, body: bytes, *fields: tuple[str, str]) -> None:
    handler.send_response(status)
    for name, value in fields:
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


class World:
    """A repository with three commits on `main`, and a tag, in a folder that servers give out."""

    def __init__(self, root: Path) -> None:
        self.root, self.cache = root, root / "cache"
        work = started(root / "work")
        self.first = commit(work, {"docs/a.md": "one\n", "docs/deep/b.md": "b\n", "README.md": "read\n"})
        self.second = commit(work, {"docs/a.md": "two\n"})
        git(work, "tag", "--annotate", "--message", "as said", "v1", self.first)
        self.third = commit(work, {"docs/a.md": "three\n"})
        self.work = work
        self.bare = root / "served" / "r.git"
        self.bare.parent.mkdir()
        git(root, "clone", "--quiet", "--bare", "work", str(self.bare))
        self.url = f"file://{self.bare}"

    def configure(self, *names: str) -> None:
        for name in names:
            git(self.bare, "config", f"uploadpack.{name}", "true")

    def publish(self) -> None:
        git(self.work, "push", "--quiet", "--force", "--prune", str(self.bare), "+refs/heads/*:refs/heads/*")

    def get(self, commit: str, *patterns: str, url: str = "", offline: bool = False) -> Fetched | None:
        return fetch(url or self.url, commit, patterns or ["**/*.md"], cache=self.cache, offline=offline)

    def text(
        self, commit: str, *patterns: str, url: str = "", offline: bool = False
    ) -> dict[str, str] | None:
        got = self.get(commit, *patterns, url=url, offline=offline)
        return None if got is None else {file.path: file.data.decode() for file in got.files}


def trouble(work: Callable[[], object]) -> GitTrouble:
    with pytest.raises(GitTrouble) as caught:
        work()
    return caught.value
