"""A folder read whole: which leaves come out, in what form, and what is said of the others."""

from __future__ import annotations

import dataclasses
import gc
import os
import shutil
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.taxonomy.leaves import LOCAL, knowledge, skill, write

from feldspar.errors import TaxonomyError
from feldspar.taxonomy import check, read
from feldspar.taxonomy.reader import read_leaf, walk


def island(root: Path, extra: str = "", paths: str = "island.md") -> Path:
    """A version 4 knowledge leaf on a document of its own."""
    document = f"document:\n  paths: [{paths}]\n"
    file = write(root, "knowledge/islands/orrin", knowledge(4, 2, 2, document, extra))
    (file.parent / "island.md").write_bytes(b"\xef\xbb\xbf# Orrin\r\n\r\nContext 0. Context 1.\r\n")
    return file


def test_a_knowledge_leaf(tmp_path: Path) -> None:
    file = island(tmp_path, "style: creative\nlicense: CC-BY-4.0\n")
    reading = read(tmp_path)
    assert reading.problems == ()
    (leaf,) = reading.leaves
    assert (leaf.path, leaf.branch, leaf.version) == ("knowledge/islands/orrin", "knowledge", 4)
    assert (leaf.task, leaf.domain, leaf.style) == ("The island of Orrin.", "islands", "creative")
    assert (leaf.licence, leaf.created_by, leaf.file) == ("CC-BY-4.0", "someone", str(file))
    assert [(seed.question, seed.context) for seed in leaf.seeds] == [
        ("What 0 0?", "Context 0."),
        ("What 0 1?", "Context 0."),
        ("What 1 0?", "Context 1."),
        ("What 1 1?", "Context 1."),
    ]
    lines = file.read_text().splitlines()
    assert all(seed.question in lines[seed.line - 1] for seed in leaf.seeds)
    (document,) = leaf.documents
    assert (document.path, document.text) == ("island.md", "# Orrin\n\nContext 0. Context 1.\n")
    assert document.licence == "CC-BY-4.0"


def test_branches_order_and_licence_from_the_attribution(tmp_path: Path) -> None:
    write(tmp_path, "knowledge/k", knowledge())
    write(tmp_path, "foundational_skills/f", skill(1, 1), "")
    write(
        tmp_path,
        "compositional_skills/c",
        skill(3),
        "License of the work: MIT\nLicense of the work:  CC BY 4.0 \n",
    )
    write(tmp_path, "other/s", skill(3))
    write(tmp_path, "other/k", knowledge())
    write(tmp_path, ".hidden/s", skill(3))
    reading = read(tmp_path)
    assert [(leaf.path, leaf.branch, leaf.licence) for leaf in reading.leaves] == [
        ("compositional_skills/c", "compositional_skills", "MIT AND CC-BY-4.0"),
        ("foundational_skills/f", "foundational_skills", ""),
        ("knowledge/k", "knowledge", "CC0-1.0"),
        ("other/k", "knowledge", "CC0-1.0"),
        ("other/s", "compositional_skills", "CC0-1.0"),
    ]
    told = {(problem.rule, problem.severity) for problem in reading.problems}
    assert told == {("attribution", "warning"), ("same-seed", "warning")}
    assert reading.leaves[2].documents == ()


def test_a_leaf_with_an_error_is_left_out_and_the_others_stay(tmp_path: Path) -> None:
    write(tmp_path, "compositional_skills/good", skill(3))
    write(tmp_path, "compositional_skills/bad", skill(3, 2))
    reading = read(tmp_path)
    assert [leaf.path for leaf in reading.leaves] == ["compositional_skills/good"]
    assert [problem.rule for problem in reading.problems] == ["too-few-seeds"]


def test_the_digest_follows_content_and_nothing_else(tmp_path: Path) -> None:
    file = island(tmp_path / "a")
    first = read(tmp_path / "a").leaves[0]
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    file.write_text("# a comment\n" + file.read_text())
    moved = read(tmp_path / "a").leaves[0]
    assert moved.seeds[0].line == first.seeds[0].line + 1
    assert moved.digest == first.digest == read(tmp_path / "b").leaves[0].digest

    seen = {first.digest}
    text = file.read_text()
    changes = [("That 0 0.", "It."), ("Context 1.", "Other."), ("islands", "isles"), ("someone", "other")]
    for old, new in changes:
        file.write_text(text.replace(old, new, 1))
        seen.add(read(tmp_path / "a").leaves[0].digest)
    file.write_text(text)
    (file.parent / "island.md").write_text("# Orrin\n\nContext 0. Context 1. More.\n")
    seen.add(read(tmp_path / "a").leaves[0].digest)
    assert len(seen) == len(changes) + 2


@pytest.mark.parametrize(
    "path",
    [
        *("../island.md", "/etc/passwd", "~/a.md", "C:\\a.md", "sub/../../a.md", "'a\\b.md'", '"a\\nb.md"'),
        *("missing.md", "folder.md", "empty.md", "bytes.md", "island.pdf", "link.md", "pipe.md"),
        "island.md, ./island.md",
    ],
)
def test_documents_that_are_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "outside.md").write_text("secret")
    file = island(tmp_path / "root", paths=path)
    folder = file.parent
    (folder / "folder.md").mkdir()
    (folder / "empty.md").write_text(" \n")
    (folder / "bytes.md").write_bytes(b"a\x00b")
    (folder / "link.md").symlink_to(tmp_path / "outside.md")
    os.mkfifo(folder / "pipe.md")
    reading = read(tmp_path / "root")
    assert reading.leaves == ()
    (problem,) = reading.problems
    assert problem.severity == "error"
    assert problem.line == 7
    assert problem.mend


def test_links_and_names_that_mislead(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, "knowledge/k", knowledge())
    outside = write(tmp_path, "outside/s", skill(3))
    (root / "linked").symlink_to(outside.parent)
    (root / "again").symlink_to(root / "knowledge")
    (root / "loop").symlink_to(root / "loop")
    (root / "s").mkdir()
    (root / "s" / "qna.yaml").symlink_to(outside)
    (root / "t").mkdir()
    (root / "t" / "qna.yml").write_text(skill(3))
    (root / "t" / "qna-old.yaml").write_text(skill(3))
    (root / "u" / "qna.yaml").mkdir(parents=True)
    os.mkfifo(root / "knowledge" / "qna.yaml")
    reading = read(root)
    assert [leaf.path for leaf in reading.leaves] == ["knowledge/k"]
    told = {(Path(p.file).relative_to(root).as_posix(), p.rule, p.severity) for p in reading.problems}
    assert told == {
        ("linked", "link", "error"),
        ("again", "link", "warning"),
        ("s/qna.yaml", "unreadable", "error"),
        ("t/qna.yml", "file-name", "error"),
        ("t/qna-old.yaml", "file-name", "warning"),
        ("u/qna.yaml", "file-name", "error"),
        ("knowledge/qna.yaml", "unreadable", "error"),
    }


def test_nothing_to_read_is_an_error_with_a_mend(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name, what in (("missing", "does not exist"), ("empty", "is empty"), ("file", "not a folder")):
        with pytest.raises(TaxonomyError, match=what) as caught:
            read(tmp_path / name)
        assert caught.value.mend


def test_check_takes_files_and_folders_once_each(tmp_path: Path) -> None:
    bad = write(tmp_path, "knowledge/bad", knowledge(seeds=4), "")
    twice = check([tmp_path, bad, bad.parent, tmp_path])
    assert [(p.rule, p.severity) for p in twice] == [
        ("attribution", "warning"),
        ("stays-out", "warning"),
        ("too-few-seeds", "error"),
    ]
    assert check([bad], strict=True) == twice

    (tmp_path / "none").mkdir()
    other = tmp_path / "other.yaml"
    other.write_text(skill(3))
    told = check([tmp_path / "none", tmp_path / "gone", other])
    assert [p.rule for p in told] == ["unreadable", "empty-taxonomy", "file-name"]


def test_check_and_read_agree(tmp_path: Path) -> None:
    island(tmp_path)
    write(tmp_path, "knowledge/bad", knowledge(4, document=LOCAL), "")
    write(tmp_path, "compositional_skills/c", skill(3) + "\n")
    assert check([tmp_path]) == read(tmp_path).problems


def test_paths_are_shown_as_they_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "knowledge/bad", knowledge(seeds=4))
    monkeypatch.chdir(tmp_path)
    assert check([Path("knowledge")])[0].file == "knowledge/bad/qna.yaml"
    monkeypatch.chdir(tmp_path / "knowledge")
    assert check([Path("bad/qna.yaml")])[0].rule == "too-few-seeds"
    assert check([Path("bad/qna.yaml")])[0].file == "bad/qna.yaml"
    monkeypatch.chdir(tmp_path / "knowledge" / "bad")
    assert check([Path("qna.yaml")])[0].file == check([Path()])[0].file == "qna.yaml"
    monkeypatch.chdir(tmp_path)
    assert check([Path()])[0].file == check([Path("./knowledge/")])[0].file == "knowledge/bad/qna.yaml"


def test_the_walk_and_one_leaf_are_what_reading_is_made_of(tmp_path: Path) -> None:
    island(tmp_path)
    write(tmp_path, "knowledge/bad", knowledge(seeds=4))
    write(tmp_path, "compositional_skills/c", skill(3) + "\n")
    (tmp_path / "compositional_skills" / "qna.yml").write_text("x")
    reading = read(tmp_path)
    leaves, problems = [], []
    for met in walk(tmp_path):
        problems += met.problems
        if met.leaf:
            leaf, noted = read_leaf(met.path, tmp_path)
            leaves += [leaf] if leaf else []
            problems += noted
    assert tuple(leaves) == reading.leaves
    assert len(leaves) == 2
    assert sorted(map(str, problems)) == sorted(map(str, reading.problems))


def test_checking_more_leaves_needs_no_more_memory(tmp_path: Path) -> None:
    def leaves(name: str, count: int) -> Path:
        for number in range(count):
            write(tmp_path / name, f"s{number % 7}/{number}", skill(3).replace("Riddle", f"Riddle {number}"))
        return tmp_path / name

    def peak(root: Path) -> int:
        gc.collect()
        tracemalloc.start()
        try:
            assert check([root]) == ()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = leaves("few", 210), leaves("many", 420)
    peak(few)
    # The hashes of their seeds, and the names of folders.
    assert peak(many) - peak(few) < 210 * (5 * 8 + 200)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends_change_nothing_of_a_leaf(tmp_path: Path, mark: bytes, end: str) -> None:
    text = skill(3).replace("Answer 1.", "|\n      Two\n      lines.") + "# end\n"
    write(tmp_path, "compositional_skills/a", text)
    (plain,) = read(tmp_path).leaves
    write(tmp_path, "compositional_skills/a", mark + text.replace("\n", end).encode())
    assert read(tmp_path).leaves == (plain,)
    assert {problem.rule for problem in read(tmp_path).problems} == (
        {"new-lines"} if end == "\r\n" else set()
    )


def test_names_that_no_terminal_can_show_are_escaped(tmp_path: Path) -> None:
    write(tmp_path, "s/\x1b[2Ja\nb", skill(3, 4))
    write(tmp_path, os.fsdecode(b"s/\xff"), skill(3))
    reading = read(tmp_path)
    assert reading.leaves == ()
    assert [(Path(p.file).parent.name, p.rule) for p in reading.problems] == [
        ("\\udcff", "file-name"),
        ("\\x1b[2Ja\\nb", "too-few-seeds"),
    ]


SOUND = skill(3, 5).encode()
WILD = st.binary(max_size=300) | st.text(alphabet="a:-[]{}&*!|>'\"#%@`,?\n \t<=~1", max_size=120).map(
    str.encode
)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A sound leaf with a few stretches replaced."""
    data = draw(st.sampled_from([SOUND, knowledge(4, 1, 1, LOCAL).encode()]))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(WILD) + data[at + draw(st.integers(0, 30)) :]
    return data


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WILD | mangled(), st.sampled_from(["knowledge/a", "compositional_skills/a", "a"]))
def test_no_bytes_make_the_reader_raise(data: bytes, leaf: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root, leaf, data)
        reading = read(root)
        # Either a leaf, or a reason why there is none.
        assert reading.leaves or reading.problems
        lines = data.count(b"\n") + data.count(b"\r") + data.count(b"\xc2\x85") + data.count(b"\xe2\x80") + 1
        for problem in reading.problems:
            assert 1 <= problem.line <= lines + 1
            assert problem.column >= 1
            assert problem.message
            assert problem.mend
            assert all(isinstance(value, str | int) for value in dataclasses.astuple(problem))
        for found in reading.leaves:
            assert found.seeds
            assert all(seed.question and seed.answer for seed in found.seeds)
