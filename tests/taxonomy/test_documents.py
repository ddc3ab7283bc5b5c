"""A leaf's documents, from its folder and from git, through the one reader."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.taxonomy import git_world, leaves

from feldspar.taxonomy import Library, Problem, check, read
from feldspar.taxonomy.documents import CACHE_VARIABLE, cache_folder

TEXT = "# Orrin\n\nContext 0. Context 1. Context 2. Context 3. Context 4.\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = git_world.started(tmp_path / "served" / "r.git")
    git_world.commit(folder, {"a.md": TEXT, "b.md": "# Boats\n\nThey are blue.\n", "boat.png": b"\x89PNG"})
    return folder


def in_git(url: str, commit: str = "main", *patterns: str) -> str:
    listed = "".join(f"    - '{pattern}'\n" for pattern in patterns or ("*.md",))
    return f"document:\n  repo: {url}\n  commit: {commit}\n  patterns:\n{listed}"


def told(problems: tuple[Problem, ...], *rules: str) -> list[tuple[str, int, int]]:
    return [(p.rule, p.line, p.column) for p in problems if not rules or p.rule in rules]


def test_documents_in_git_are_fetched_by_who_may_and_read_from_the_cache_by_all(
    repository: Path, tmp_path: Path
) -> None:
    root, library = tmp_path / "taxonomy", Library(tmp_path / "cache")
    leaves.write(root, "knowledge/orrin", leaves.knowledge(document=in_git(repository.as_uri())))
    before = read(root, library)
    assert [leaf.documents for leaf in before.leaves] == [()], "it is a leaf, fetched or not"
    assert before.leaves[0].repo == repository.as_uri()
    fetched = read(root, Library(tmp_path / "cache", fetch=True))
    assert [document.path for document in fetched.leaves[0].documents] == ["a.md", "b.md"]
    assert fetched.leaves[0].documents[0].text == TEXT
    repository.rename(repository.with_name("gone.git"))
    again = read(root, library)
    assert again.leaves == fetched.leaves
    assert again.leaves[0].digest != before.leaves[0].digest, "documents are part of it"
    moving = [problem for problem in again.problems if problem.rule == "moving-commit"]
    assert [(p.line, "write `commit: " in p.mend) for p in moving] == [(8, True)]
    assert told(again.problems, "own-repository") == [("own-repository", 7, 9)]
    assert told(check([root], False, None, library)) == told(again.problems)


def test_what_is_matched_and_is_no_document_is_named(repository: Path, tmp_path: Path) -> None:
    root, library = tmp_path / "taxonomy", Library(tmp_path / "cache", fetch=True)
    some = leaves.write(
        root, "knowledge/some", leaves.knowledge(document=in_git(repository.as_uri(), "main", "*"))
    )
    none = leaves.write(
        root, "knowledge/none", leaves.knowledge(document=in_git(repository.as_uri(), "main", "*.png"))
    )
    reading = read(root, library)
    assert [leaf.path for leaf in reading.leaves] == ["knowledge/some"]
    found = [(p.file, p.severity, p.line) for p in reading.problems if "boat.png" in p.message]
    assert found == [(str(none), "error", 10), (str(some), "warning", 10)]


def test_git_is_asked_once_for_what_several_leaves_name(repository: Path, tmp_path: Path) -> None:
    root = tmp_path / "taxonomy"

    def answer(handler: git_world.Handler) -> None:
        git_world.reply(handler, 404, b"nothing here")

    with git_world.serving(answer) as server:
        for number in range(4):
            text = leaves.knowledge(document=in_git(f"{server.url}/r.git", f"branch{number}"))
            leaves.write(root, f"knowledge/n{number}", text)
        problems = check([root], False, None, Library(tmp_path / "cache", fetch=True))
        once = len(server.requests)
        assert told(problems, "document") == [("document", 7, 9)] * 4
        check([root / "knowledge" / "n0"], False, None, Library(tmp_path / "cache", fetch=True))
        assert len(server.requests) == 2 * once, "three of the four leaves asked nothing"


def test_a_branch_means_the_same_for_all_leaves_of_one_reading(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, library = tmp_path / "taxonomy", Library(tmp_path / "cache", fetch=True)
    for name, pattern in (("one", "a.md"), ("two", "b.md")):
        text = leaves.knowledge(document=in_git(repository.as_uri(), "main", pattern))
        leaves.write(root, f"knowledge/{name}", text)
    from feldspar.taxonomy import documents

    fetch = documents.fetch

    def moving(*arguments: object, **more: object) -> object:
        answer = fetch(*arguments, **more)  # type: ignore[arg-type]
        git_world.commit(repository, {"b.md": "# Boats\n\nThey are red now.\n"})
        return answer

    monkeypatch.setattr(documents, "fetch", moving)
    first, second = read(root, library).leaves
    assert "blue" in second.documents[0].text
    assert first.documents[0].text == TEXT


def test_encodings_are_said_and_formats_that_are_none_are_named(tmp_path: Path) -> None:
    root = tmp_path / "taxonomy"
    paths = "document:\n  paths: [a.txt, '*.md', b.xyz, ../c.md]\n"
    file = leaves.write(root, "knowledge/orrin", leaves.knowledge(4, document=paths))
    text = "Der Käse und die Brötchen kosten fünf Mark, sagt die Bäuerin jedes Jahr aufs Neue. Schön wäre es."
    (file.parent / "a.txt").write_bytes(text.encode("cp1252"))
    problems = [p for p in check([root]) if p.rule == "document"]
    assert [(p.severity, p.line, p.column) for p in problems] == [
        ("warning", 7, 11),
        ("error", 7, 18),
        ("error", 7, 26),
        ("error", 7, 33),
    ]
    assert "windows-1252" in problems[0].message
    assert problems[1].mend == "name each file"
    assert "leads out of the leaf's folder" in problems[3].message


@pytest.mark.parametrize(
    ("licence", "words"),
    [
        (
            "license: CC-BY-NC-4.0\n",
            ("CC-BY-NC-4.0 does not allow commercial use", "licences.also: [CC-BY-NC-4.0]"),
        ),
        ("license: Apche-2.0\n", ("cannot be told", "licences.of")),
        ("", ("not said", "licences.of")),
    ],
)
def test_check_says_which_documents_will_stay_out(
    licence: str, words: tuple[str, str], tmp_path: Path
) -> None:
    text = leaves.knowledge(4, document=leaves.LOCAL, extra=licence)
    file = leaves.write(tmp_path, "knowledge/orrin", text, "")
    (file.parent / "island.md").write_text(TEXT)
    (problem,) = [p for p in check([tmp_path]) if p.rule == "stays-out"]
    assert problem.severity == "warning"
    assert problem.line == (9 if licence else 1)
    assert words[0] in problem.message
    assert words[1] in problem.mend


def test_the_cache_is_where_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "feldspar"


@pytest.mark.parametrize("above", ["plain", "a\u00a0b", "knowledge"])
def test_a_leaf_is_the_same_wherever_it_lies(above: str, tmp_path: Path) -> None:
    root = tmp_path / above / "taxonomy"
    leaves.write(root, "foundational_skills/sum", leaves.skill(1))
    (leaf,) = read(root).leaves
    assert (leaf.path, leaf.branch) == ("foundational_skills/sum", "foundational_skills")
