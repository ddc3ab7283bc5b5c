"""`feldspar tree`: what is shown is what the reader gives, and what is missing can be seen."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.taxonomy.leaves import LOCAL, knowledge, skill, write

from feldspar import jsonl
from feldspar.errors import TaxonomyError
from feldspar.taxonomy import Library, read
from feldspar.taxonomy.tree import Tree, read_tree


def by_path(found: Tree) -> dict[str, str]:
    return {row.path: row.kind for row in (*found.leaves, *found.strays)}


def line_of(text: str, name: str) -> str:
    (line,) = [line for line in text.splitlines() if line.strip().split("  ")[0] == name]
    return " ".join(line.split())


@pytest.fixture
def taxonomy(tmp_path: Path) -> Path:
    root = tmp_path / "taxonomy"
    write(root, "compositional_skills/writing/riddles", skill(3))
    write(root, "compositional_skills/writing/jokes", skill(2).replace("someone", "12"))
    orrin = write(root, "knowledge/islands/orrin", knowledge(4, 2, 1, LOCAL, "license: MIT\n"), "")
    (orrin.parent / "island.md").write_text("# Orrin\n\nAn island. Context 0. Context 1.\n")
    (orrin.parent / "pictures").mkdir()
    (root / "knowledge" / "rivers" / "danube").mkdir(parents=True)
    (root / "docs" / "notes").mkdir(parents=True)
    (root / ".git" / "objects").mkdir(parents=True)
    return root


def test_leaves_have_their_seeds_documents_licences_and_problems(taxonomy: Path) -> None:
    text = str(read_tree(taxonomy))
    assert line_of(text, "riddles") == "riddles v3 5 seeds CC0-1.0"
    assert line_of(text, "orrin") == "orrin v4 2 seeds 1 document MIT 1 warning"
    assert line_of(text, "jokes") == "jokes unusable 1 error"


def test_sums_stand_at_each_folder_and_at_the_end(taxonomy: Path) -> None:
    text = str(read_tree(taxonomy))
    assert line_of(text, "writing/") == "writing/ 1 leaf, 1 unusable 5 seeds 1 error"
    assert line_of(text, "knowledge/") == "knowledge/ 1 leaf 2 seeds 1 document 1 warning"
    *_, knowledge_line, foundational, compositional, everything = text.splitlines()
    assert knowledge_line.split() == "knowledge 1 leaf 2 seeds 1 document 1 warning".split()
    assert foundational.split() == "foundational_skills no leaf".split()
    assert compositional.split() == "compositional_skills 1 leaf, 1 unusable 5 seeds 1 error".split()
    assert everything.split() == "all 2 leaves, 1 unusable 7 seeds 1 document 1 error, 1 warning".split()


def test_folders_without_a_leaf_are_shown(taxonomy: Path) -> None:
    found = read_tree(taxonomy)
    # Outside of a branch the uppermost stands for all; a leaf's own folders are its documents'.
    assert found.empty == ("docs", "knowledge/rivers", "knowledge/rivers/danube")
    assert line_of(str(found), "rivers/") == "rivers/ no leaf"
    assert "notes" not in str(found)
    assert "pictures" not in str(found)


def test_every_leaf_of_the_reader_is_there_and_no_other(taxonomy: Path) -> None:
    reading, found = read(taxonomy), read_tree(taxonomy)
    assert [row.path for row in found.leaves if row.kind == "leaf"] == [leaf.path for leaf in reading.leaves]
    assert found.problems == reading.problems
    everything = found.totals[-1]
    assert everything.errors + everything.warnings == len(reading.problems)


def test_what_is_no_leaf_but_has_problems_is_told(taxonomy: Path) -> None:
    folder = taxonomy / "knowledge" / "rivers"
    (folder / "qna.yml").write_text(knowledge())
    (folder / "rhine").mkdir()
    (folder / "rhine" / "qna.yaml").write_text("")
    found = read_tree(taxonomy)
    assert by_path(found)["knowledge/rivers/qna.yml"] == "stray"
    assert by_path(found)["knowledge/rivers/rhine"] == "unusable"
    assert line_of(str(found), "qna.yml") == "qna.yml no leaf 1 error"
    assert found.totals[-1].errors == 2


def test_json_has_the_same(taxonomy: Path) -> None:
    data = json.loads(json.dumps(jsonl.to_json(read_tree(taxonomy))))
    orrin = next(row for row in data["leaves"] if row["path"] == "knowledge/islands/orrin")
    assert (orrin["branch"], orrin["version"], orrin["seeds"], orrin["documents"]) == ("knowledge", 4, 2, 1)
    assert [total["name"] for total in data["totals"]] == [
        "knowledge",
        "foundational_skills",
        "compositional_skills",
        "all",
    ]
    assert set(data["problems"][0]) == {"file", "line", "column", "severity", "rule", "message", "mend"}


def test_lines_are_bounded_and_printable(tmp_path: Path) -> None:
    deep = "/".join(["d" * 30] * 20)
    write(tmp_path, f"knowledge/{deep}", knowledge(), f"License of the work: {'x' * 5000}\n")
    write(tmp_path, "compositional_skills/\x1b[2J\n::error::x ##[y]", skill())
    write(tmp_path, f"compositional_skills/{'寿司' * 40}", skill())
    (tmp_path / "knowledge" / os.fsdecode(b"\xff\xfe")).mkdir()
    text = str(read_tree(tmp_path))
    lines = text.splitlines()
    assert max(len(line) - len(line.lstrip()) for line in lines) == 24
    assert max(map(len, lines)) < 24 + 40 + 5 * 34
    (long,) = [line for line in lines if "“" in line]
    assert len(re.split("  +", long.strip())[-2]) == 32
    assert all(line.isprintable() for line in lines)
    assert "##[" not in text
    assert not any(line.lstrip().startswith("::") for line in lines)
    # Cells stand below one another though letters are two columns wide.
    (wide,) = [line for line in lines if "寿" in line]
    (plain,) = [line for line in lines if line.startswith("knowledge ")]
    assert wide.index("v3") + wide.count("寿") + wide.count("司") == plain.index("1 leaf")


def test_documents_in_git_count_once_they_are_fetched(tmp_path: Path) -> None:
    source, root, cache = tmp_path / "source", tmp_path / "taxonomy", tmp_path / "cache"
    source.mkdir()
    (source / "orrin.md").write_text("# Orrin\n\nAn island.\n")
    names = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    own = {**os.environ, **names, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for words in ("init --quiet", "add .", "commit --quiet --message x", "rev-parse HEAD"):
        done = subprocess.run(["git", *words.split()], cwd=source, env=own, capture_output=True, check=True)
    text = knowledge().replace("https://example.org/r.git", source.as_uri())
    write(root, "knowledge/a", text.replace("abc1234", done.stdout.decode().strip()))
    assert read_tree(root, Library(cache)).totals[-1].documents == 0
    assert read(root, Library(cache, fetch=True)).leaves[0].documents
    assert read_tree(root, Library(cache)).totals[-1].documents == 1


def test_a_leaf_at_the_root_is_one(tmp_path: Path) -> None:
    root = tmp_path / "knowledge" / "alone"
    write(tmp_path, "knowledge/alone", knowledge())
    (root / "docs").mkdir()
    found = read_tree(root)
    assert by_path(found) == {".": "leaf"}
    # What is in git, and was not fetched, is no document yet.
    assert "not fetched" in str(found)
    assert found.empty == ()


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.touch()])
def test_nothing_to_show_is_an_error_in_words(tmp_path: Path, make: object) -> None:
    path = tmp_path / "taxonomy"
    make(path)  # type: ignore[operator]
    with pytest.raises(TaxonomyError, match="taxonomy"):
        read_tree(path)


def test_very_deep_folders_end(tmp_path: Path) -> None:
    write(tmp_path, "knowledge/a", knowledge())
    (tmp_path / "knowledge" / "/".join("b" * 300)).mkdir(parents=True)
    found = read_tree(tmp_path)
    assert 0 < len(found.empty) <= 110
    assert str(found)
