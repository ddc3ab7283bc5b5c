"""Hugging Face: a cache laid out as its library lays it out, and the library against a server of ours."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants, get_cached_repo_tree
from huggingface_hub.utils import close_session, disable_progress_bars

from feldspar.errors import DatasetError, RecipeError
from feldspar.mix import hub
from feldspar.mix.datasets import read_dataset
from feldspar.mix.sources import dataset_digest, find_dataset

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "89abcdef0123456789abcdef0123456789abcdef"
ROWS = [{"source": "x", "instruction": f"What is {n}?", "output": f"It is {n}."} for n in range(20)]
FILES = {
    "README.md": "---\nlicense: mit\n---\n# Sums\n",
    ".gitattributes": "*.json filter=lfs\n",
    "Sums.json": json.dumps(ROWS),
    "load.py": "raise SystemExit('never run')\n",
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, offline, and nobody's token."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    disable_progress_bars()
    return folder


def laid_out(cache: Path, repo: str, files: dict[str, str], commit: str = COMMIT) -> Path:
    """A dataset as the library keeps it: blobs, and a snapshot of links to them."""
    storage = cache / f"datasets--{repo.replace('/', '--')}"
    snapshot = storage / "snapshots" / commit
    for name, text in files.items():
        blob = storage / "blobs" / hashlib.sha256(text.encode()).hexdigest()
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_text(text)
        link = snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path("../" * (2 + name.count("/"))) / "blobs" / blob.name)
    (storage / "refs").mkdir(exist_ok=True)
    (storage / "refs" / "main").write_text(commit)
    return snapshot


def test_a_dataset_in_the_cache_is_read_without_a_network(cache: Path) -> None:
    laid_out(cache, "owner/sums", FILES)
    source = find_dataset("owner/sums")
    assert (source.name, source.licence, source.revision) == ("owner/sums", "mit", COMMIT)
    read = read_dataset(source, cap=3)
    assert (len(read), read.rows, read.licence) == (3, 20, "mit")
    sample = read.samples[0]
    assert sample.leaf == "foundational_skills/owner/sums"
    number = sample.id.partition("#")[2]
    assert sample.origin.name == f"owner/sums/Sums.json:{number}"
    assert dataset_digest(source) != dataset_digest(replace(source, revision=OTHER))


def test_a_commit_a_split_and_a_configuration_are_chosen(cache: Path) -> None:
    line = json.dumps(ROWS[0])
    other = json.dumps(ROWS[1])
    laid_out(cache, "owner/sums", {"a/train.jsonl": line, "a/test.jsonl": other, "b/train.jsonl": other})
    laid_out(cache, "owner/sums", {"a/train.jsonl": other}, OTHER)
    read = read_dataset(find_dataset("owner/sums", config="a", revision=COMMIT))
    assert [sample.messages[0].content for sample in read] == ["What is 0?"]
    read = read_dataset(find_dataset("owner/sums", config="a", split="test", revision=COMMIT))
    assert [sample.messages[0].content for sample in read] == ["What is 1?"]
    # `main` is what it was when it was fetched.
    assert read_dataset(find_dataset("owner/sums", config="a")).samples[0].messages[0].content == "What is 1?"


def test_a_path_that_exists_is_local(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out(cache, "owner/sums", FILES)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "sums").write_text(json.dumps(ROWS[7]) + "\n")
    assert len(read_dataset(find_dataset("owner/sums"))) == 1
    with pytest.raises(RecipeError, match="a local path has no revision"):
        find_dataset("owner/sums", revision="main")


def test_what_is_neither_here_nor_in_the_cache_is_named(cache: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        find_dataset("owner/none")
    assert "owner/none: there is no such file here" in caught.value.what
    assert "hf download --repo-type dataset owner/none" in caught.value.mend
    with pytest.raises(DatasetError, match="there is no such file") as caught:
        find_dataset("owner/none/deep")
    assert "owner/name" in caught.value.mend
    laid_out(cache, "owner/sums", FILES)
    with pytest.raises(DatasetError, match="not all is in the cache"):
        find_dataset("owner/sums", revision="v2")


@pytest.mark.parametrize("revision", ["../../x", "--help", "a b", "/etc", "a//b", "x/../y", "a\n"])
def test_a_revision_that_is_a_path_or_an_option_is_refused(revision: str, cache: Path) -> None:
    laid_out(cache, "owner/sums", FILES)
    with pytest.raises(DatasetError, match="is no revision"):
        find_dataset("owner/sums", revision=revision)


def test_a_link_that_leaves_the_blobs_is_refused(cache: Path, tmp_path: Path) -> None:
    snapshot = laid_out(cache, "owner/sums", {"README.md": FILES["README.md"]})
    secret = tmp_path / "secret.jsonl"
    secret.write_text(json.dumps(ROWS[0]))
    (snapshot / "a.jsonl").symlink_to(secret)
    with pytest.raises(DatasetError, match=r"owner/sums/a\.jsonl: it leads out of the dataset"):
        find_dataset("owner/sums")
    # Nor may it lead to another dataset's.
    (snapshot / "a.jsonl").unlink()
    other = laid_out(cache, "owner/other", {"a.jsonl": json.dumps(ROWS[0])})
    (snapshot / "a.jsonl").symlink_to((other / "a.jsonl").resolve())
    with pytest.raises(DatasetError, match=r"owner/sums/a\.jsonl: it leads out of the dataset"):
        find_dataset("owner/sums")


def test_a_dataset_of_a_script_alone_is_refused_by_name(cache: Path) -> None:
    laid_out(cache, "owner/sums", {name: FILES[name] for name in ("README.md", "load.py")})
    with pytest.raises(DatasetError, match=r"but load\.py, a script, which is never run") as caught:
        find_dataset("owner/sums")
    assert "refs/convert/parquet" in caught.value.mend


class Hub(ThreadingHTTPServer):
    """As much of the hub as a download needs; it writes down what was asked."""

    daemon_threads = True

    def __init__(self, files: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.files = files
        self.commit = COMMIT
        self.status = 200
        self.asked: list[str] = []


class _Page(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        hub, path = self.server, unquote(urlsplit(self.path).path)
        hub.asked.append(path)
        assert "authorization" not in {key.lower() for key in self.headers}
        if hub.status != 200:
            return self._answer(b"{}", hub.status, {"X-Error-Code": "GatedRepo"} if hub.status == 403 else {})
        if path == "/api/datasets/owner/sums/revision/main":
            body = {"id": "owner/sums", "sha": hub.commit, "siblings": [{"rfilename": n} for n in hub.files]}
            return self._answer(json.dumps(body).encode())
        if path == f"/api/datasets/owner/sums/tree/{hub.commit}":
            tree = [
                {
                    "type": "file",
                    "path": name,
                    "size": len(text),
                    "oid": hashlib.sha1(text.encode()).hexdigest(),
                }
                for name, text in hub.files.items()
            ]
            return self._answer(json.dumps(tree).encode())
        name = path.removeprefix(f"/datasets/owner/sums/resolve/{hub.commit}/")
        if name in hub.files:
            text = hub.files[name].encode()
            tag = hashlib.sha1(text).hexdigest()
            return self._answer(text, headers={"ETag": f'"{tag}"', "X-Repo-Commit": hub.commit})
        code = "RevisionNotFound" if path.startswith("/api/datasets/owner/sums/") else "RepoNotFound"
        return self._answer(b"{}", 404, {"X-Error-Code": code})

    do_HEAD = do_GET

    def _answer(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub(dict(FILES))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        f"http://127.0.0.1:{server.server_port}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
    )
    close_session()
    yield server
    close_session()
    server.shutdown()
    server.server_close()
    thread.join()


def test_data_alone_is_fetched_once_and_again_offline(
    served: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(read_dataset(find_dataset("owner/sums"))) == 20
    assert any(path.endswith("/Sums.json") for path in served.asked)
    assert not any(path.endswith("load.py") for path in served.asked), "a script is not even fetched"
    count = len(served.asked)
    assert len(read_dataset(find_dataset("owner/sums"))) == 20
    # The branch is asked for anew, as it may have moved; no file is.
    assert {path.partition("owner/sums")[2] for path in served.asked[count:]} == {"/revision/main"}
    count = len(served.asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert len(read_dataset(find_dataset("owner/sums"))) == 20
    assert len(served.asked) == count
    assert {file.path for file in get_cached_repo_tree("owner/sums", repo_type="dataset")} == set(FILES)


def test_a_branch_that_moved_is_another_commit(served: Hub) -> None:
    before = find_dataset("owner/sums")
    served.commit = OTHER
    served.files["Sums.json"] = json.dumps(ROWS[:3])
    after = find_dataset("owner/sums")
    assert (before.revision, after.revision) == (COMMIT, OTHER)
    assert dataset_digest(before) != dataset_digest(after)
    assert len(read_dataset(after)) == 3
    assert len(read_dataset(before)) == 20


def test_a_cache_that_lacks_a_file_says_so_offline(
    served: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_dataset("owner/sums")
    (cache / "datasets--owner--sums" / "snapshots" / COMMIT / "Sums.json").unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DatasetError, match="not all is in the cache"):
        find_dataset("owner/sums")


def _down(server: Hub) -> None:
    server.status = 500


def _gated(server: Hub) -> None:
    server.status = 403


@pytest.mark.parametrize(
    ("trouble", "repo", "revision", "words"),
    [
        (None, "owner/none", "", "no such dataset on Hugging Face that may be read"),
        (None, "owner/sums", "v9", "it has no revision `v9`"),
        (_gated, "owner/sums", "", "asks for consent"),
        (_down, "owner/sums", "", "not all is in the cache"),
    ],
)
def test_what_the_hub_refuses_is_told_in_words(
    trouble: Callable[[Hub], None] | None, repo: str, revision: str, words: str, served: Hub
) -> None:
    if trouble:
        trouble(served)
    with pytest.raises(DatasetError) as caught:
        find_dataset(repo, revision=revision)
    assert words in caught.value.what
    assert repo in caught.value.what
    assert caught.value.mend


def test_a_hub_that_cannot_be_reached_is_told_in_words(served: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DatasetError, match="which cannot be reached"):
        find_dataset("owner/sums")


def test_a_dataset_larger_than_the_disk_is_not_fetched(served: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_ROOM", 10**18)
    with pytest.raises(DatasetError, match="GB of disk are free"):
        find_dataset("owner/sums")
    assert not any(path.endswith("/Sums.json") for path in served.asked)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("owner/name", True),
        ("Open-Orca/FLAN", True),
        ("a/b/c", False),
        ("name", False),
        ("../name", False),
        ("-o/name", False),
        ("o/na..me", False),
        ("o/na\nme", False),
    ],
)
def test_what_an_id_is(text: str, is_one: bool) -> None:
    assert hub.is_id(text) is is_one
