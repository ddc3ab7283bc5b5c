"""Leaves that were made to harm: each is refused by name, within bounds of time and memory."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.taxonomy.leaves import knowledge, skill, write

from feldspar import project
from feldspar.errors import TaxonomyError
from feldspar.taxonomy import Problem, check, read

SECONDS = 10
PROGRAM = """
import resource, sys, time
from pathlib import Path
from feldspar.taxonomy import check, read
started = time.process_time()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
problems = check([Path(sys.argv[1])])
assert read(Path(sys.argv[1])).problems == problems
for problem in problems:
    assert problem.mend and len(str(problem)) < 2_000, problem
    print(problem.rule, problem.severity, problem.line, problem.column)
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print("bounds", time.process_time() - started, used // 1024)
"""


def deep_flow(count: int) -> str:
    return "a: " + "[" * count + "]" * count + "\n"


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def merges(levels: int) -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def chain(levels: int) -> str:
    return "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, levels))


def alike(count: int, words: int) -> str:
    said = "word " * words
    return skill(1, 0) + "".join(
        f"  - {{question: {said}{'x' * n}, answer: b c d e}}\n" for n in range(count)
    )


HOSTILE: dict[str, tuple[str | bytes, str]] = {
    "alias bomb": (bomb(12), "too-many-values"),
    "merge bomb": (merges(12), "too-many-values"),
    "alias within itself": ("a: &a [*a]\n", "too-many-values"),
    "alias chain": (chain(400), "too-many-values"),
    "many aliases": ("a: &a x\nb: [" + "*a, " * 99_990 + "*a]\n", "unknown-key"),
    "50 MB scalar": (b"a: " + b"x" * 50_000_000, "unreadable"),
    "2 MB scalar": (b"created_by: " + b"x" * 1_900_000, "missing-key"),
    "2 MB quoted": (b'a: "' + b"x " * 900_000, "yaml"),
    "2 MB digits": (b"version: " + b"1" * 1_900_000, "version"),
    "2 MB number": (b"version: " + b"1:" * 900_000 + b"1.", "version"),
    "2 MB key": (b"k" * 1_900_000 + b": x\n", "yaml"),
    "2 MB of dashes": (b"- " * 950_000, "too-deep"),
    "2 MB of questions": (b"? " * 950_000, "too-deep"),
    "2 MB of braces": (b"{" * 1_900_000, "too-deep"),
    "2 MB of colons": (b":" * 1_900_000 + b"\n", "yaml"),
    "2 MB of blanks": (b"a: b\n" + b" " * 1_900_000, "unknown-key"),
    "2 MB of line breaks": (b"version: 3\n" + b"\n" * 1_900_000 + b"a: b", "unknown-key"),
    "2 MB of blanks at line ends": (b"version: 3\na: |\n" + b"  x \n" * 380_000, "unknown-key"),
    "2 MB of comments": (b"# yamllint disable rule:x\n" * 73_000 + b"a: b\n", "missing-key"),
    "2 MB of tabs": (b"a: b\n" + b"\t" * 1_900_000, "yaml"),
    "2 MB of other line ends": ("a: b\n" + "\u2028" * 600_000 + "c: d\n", "unknown-key"),
    "many values between other line ends": ('a:\n  - "x\u2028"\n' + '  - "x"\n' * 90_000, "unknown-key"),
    "300 kB of brackets and no-break spaces": ("a: [x] " + ": [\xa0] " * 30_000 + "\n", "yaml"),
    "300 kB of fences": ("```\n" * 70_000, "yaml"),
    "300 kB of signs of a merge": ("a: b\n" + "<<<<<<< x\n" * 30_000, "yaml"),
    "many comments": (skill(1, 0) + "  - {question: q #5\n, answer: b}\n" * 19_000, "comment-in-text"),
    "300 kB that is read slowly": (b"a:\n" + b"  - b\tc: {d: e}\n" * 17_000, "yaml"),
    "10,000 deep in brackets": (deep_flow(10_000), "too-deep"),
    "10,000 deep in blocks": ("".join(" " * n + "a:\n" for n in range(1_900)), "too-deep"),
    "10,000 dashes deep": ("- " * 10_000, "too-deep"),
    "100,000 keys": ("".join(f"k{n}: 1\n" for n in range(49_000)), "unknown-key"),
    "more keys than are read": ("".join(f"k{n}: 1\n" for n in range(60_000)), "too-many-values"),
    "one key many times": ("a: 1\n" * 45_000, "duplicate-key"),
    "many near keys": ("".join(f"seed_exampl{n}: 1\n" for n in range(20_000)), "unknown-key"),
    "many seeds alike": (alike(1, 9) * 1 + alike(1, 9).splitlines(True)[-1] * 15_000, "near-seed"),
    "long seeds alike": (alike(180, 2_000), "near-seed"),
    "duplicate keys": (skill(3, extra="created_by: me\n"), "duplicate-key"),
    "a tab that indents": ("a:\n\tb: c\n", "yaml"),
    "NUL bytes": (b"a: b\x00c\n", "control-character"),
    "NUL bytes alone": (b"\x00" * 10_000, "control-character"),
    "UTF-16 with its mark": (skill(3).encode("utf-16"), "encoding"),
    "UTF-16 without": (skill(3).encode("utf-16-le"), "control-character"),
    "UTF-32": (skill(3).encode("utf-32"), "encoding"),
    "invalid UTF-8": (skill(3).encode() + b"# \xc3(\n", "encoding"),
    "half of a letter": (skill(3).encode() + b"# \xed\xa0\x80\n", "encoding"),
    "overlong NUL": (b"a: \xc0\x80\n", "encoding"),
    "byte order mark within": (skill(3).replace("someone", "some\ufeffone: x").encode(), "yaml"),
    "an object": (skill(3).replace("someone", "!!python/object/apply:os.system ['touch owned']"), "type"),
    "a name": (skill(3).replace("someone", "!!python/name:os.system"), "type"),
    "a new tag": ("%TAG ! tag:yaml.org,2002:python/\n---\na: !object/apply:os.system [x]\n", "unknown-key"),
    "an include": (skill(3).replace("someone", "!include /etc/passwd"), "type"),
    "an object as a key": ("? !!python/object:os.system x\n: y\n", "key-type"),
    "a long tag": ("a: !<" + "t" * 100_000 + "> b\n", "unknown-key"),
    "a long anchor": ("a: *" + "b" * 100_000 + "\n", "yaml"),
    "a long line": (skill(3).replace("someone", "x" * 1_000_000 + "\\u0007"), ""),
    "control letters in keys": ('"\\e[2J\\a": x\n', "unknown-key"),
}  # fmt: skip


@pytest.fixture(scope="module")
def checked(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], tuple[list[str], float, int]]]:
    """Checks a hostile text in a process of its own: the problems as words, CPU seconds, and MB."""
    place = tmp_path_factory.mktemp("hostile")

    def run(name: str) -> tuple[list[str], float, int]:
        text, _ = HOSTILE[name]
        root = place / name.replace(" ", "-").replace(",", "")
        write(root, "compositional_skills/a", text)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(root)],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=place,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.returncode == 0, done.stderr[-2_000:]
        *lines, last = done.stdout.splitlines()
        _, seconds, used = last.split()
        return lines, float(seconds), int(used)

    yield run
    shutil.rmtree(place)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file(
    name: str, checked: Callable[[str], tuple[list[str], float, int]], tmp_path: Path
) -> None:
    lines, seconds, used = checked(name)
    rule = HOSTILE[name][1]
    assert not rule or rule in {line.split()[0] for line in lines}, lines[:5]
    # Both verbs of the program, in the CPU time of one.
    assert seconds < SECONDS, f"{seconds} s"
    assert used < 400, f"{used} MB"
    assert not list(Path(tmp_path).parent.rglob("owned"))


def odd_files(folder: Path) -> dict[str, Callable[[], object]]:
    """Ways to make a `qna.yaml` that is no plain file, by name."""
    file = folder / "qna.yaml"
    other = folder.parents[1] / "outside"

    def bound() -> None:
        with socket.socket(socket.AF_UNIX) as made:
            here = os.getcwd()
            os.chdir(folder)
            try:
                made.bind("qna.yaml")
            finally:
                os.chdir(here)

    return {
        "a folder": file.mkdir,
        "a pipe": lambda: os.mkfifo(file),
        "a socket": bound,
        "a broken link": lambda: file.symlink_to(folder / "gone"),
        "a link to itself": lambda: file.symlink_to(file),
        "a link to a device": lambda: file.symlink_to("/dev/zero"),
        "a link out of the root": lambda: file.symlink_to(other),
        "a link to a folder": lambda: file.symlink_to(folder.parent, target_is_directory=True),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "a folder",
        "a pipe",
        "a socket",
        "a broken link",
        "a link to itself",
        "a link to a device",
        "a link out of the root",
        "a link to a folder",
    ],
)
def test_what_is_no_plain_file(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "root" / "a"
    folder.mkdir(parents=True)
    write(tmp_path / "root", "b", skill(3))
    (tmp_path / "outside").write_text(skill(3))
    odd_files(folder)[kind]()
    started = time.monotonic()
    for problems in (check([tmp_path / "root"]), read(tmp_path / "root").problems):
        (problem,) = problems
        assert problem.rule in ("unreadable", "file-name", "link")
        assert problem.severity == ("warning" if kind == "a link to a folder" else "error")
        assert problem.file == str(folder / "qna.yaml")
        assert problem.mend
    assert [leaf.path for leaf in read(tmp_path / "root").leaves] == ["b"]
    assert time.monotonic() - started < SECONDS


def test_folders_that_link_in_circles(tmp_path: Path) -> None:
    write(tmp_path, "a/b", skill(3))
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    (tmp_path / "a" / "b" / "deep").mkdir()
    reading = read(tmp_path)
    assert [leaf.path for leaf in reading.leaves] == ["a/b"]
    assert {(Path(p.file).name, p.rule) for p in reading.problems} == {("up", "link")}
    assert check([tmp_path]) == reading.problems


def test_a_deep_path_and_many_names(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(150):
        folder = folder / "deep"
    write(folder, "a", skill(3))
    for name in ("qna.yml", "QNA.YAML", "qna (copy).yaml", "qna\n.yaml"):
        (folder / name).write_text("x")
    reading = read(tmp_path)
    assert len(reading.leaves) == 1
    assert sorted(problem.severity for problem in reading.problems) == [
        "error",
        "error",
        "warning",
        "warning",
    ]
    assert all("\n" not in str(problem) for problem in reading.problems)


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/a\xff\x1b[2J"
    os.makedirs(folder)
    with open(folder + b"/qna.yaml", "wb") as file:
        file.write(skill(3, 4).encode())
    problems = check([tmp_path])
    assert {problem.rule for problem in problems} == {"attribution", "too-few-seeds", "file-name"}
    assert all(str(problem).isprintable() and str(problem).encode() for problem in problems)


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    file = write(tmp_path, "a", skill(3))
    folder = write(tmp_path, "b/c", skill(3)).parent
    file.chmod(0)
    folder.chmod(0)
    try:
        problems = check([tmp_path])
    finally:
        folder.chmod(0o700)
    if os.geteuid() != 0:
        assert [(p.rule, Path(p.file).name) for p in problems] == [
            ("unreadable", "qna.yaml"),
            ("unreadable", "c"),
        ]


WILD = st.binary(max_size=400) | st.text(
    st.characters(codec="utf-8") | st.sampled_from(" \n\t:-?[]{},&*!|>'\"#%@`~<=\ufeff\u2028\x85"),
    max_size=200,
).map(str.encode)
WORDS = (
    "version: 3\n|version: 4\n|version: 1\n|created_by: a\n|task_description: >\n  b\n|seed_examples:\n|"
    "  - question: q\n|    answer: a\n|    context: |-\n|      c\n|document:\n|  repo: r\n|  paths: [a.md]\n|"
    "  - &a {question: q}\n|  - *a\n|  - <<: *a\n|? |: |- |[|]|{|}|, |!!str |!x |'|\"|# x\n|\t|\r\n|---\n|"
    'null|~|2024-01-01|1e3|0x1|yes|\'\'|" "|"\\x00"|"\\ud800"|%YAML 1.1\n|\\|é|\u200b'
).split("|")


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    WILD | st.lists(st.sampled_from(WORDS), max_size=40).map(lambda words: "".join(words).encode()),
    st.sampled_from(["knowledge/a", "compositional_skills/a", "a"]),
)
def test_nothing_but_our_errors_comes_of_any_bytes(data: bytes, leaf: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        file = write(root, leaf, data)
        told = check([root])
        assert read(root).problems == told
        assert check([file]) or read(root).leaves or told
        for problem in told:
            assert isinstance(problem, Problem)
            assert problem.line >= 1
            assert problem.column >= 1
            assert problem.mend
            assert str(problem).isprintable()
        strict = check([root], strict=True)
        assert [p.message for p in strict] == [p.message for p in told]


LETTERS = st.characters(
    codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff\ufffe\uffff\u2028\u2029"
)
PLAIN = st.text(LETTERS, min_size=1, max_size=60).filter(lambda text: text == text.strip() != "")


def write_leaf(leaf: dict[str, object]) -> bytes:
    return yaml.safe_dump(leaf, allow_unicode=True, sort_keys=False, width=80).encode()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(PLAIN, PLAIN, PLAIN), min_size=1, max_size=6, unique=True), PLAIN, PLAIN)
def test_what_is_printed_is_read_back_the_same(
    pairs: list[tuple[str, str, str]], task: str, author: str
) -> None:
    examples = [{"question": q, "answer": a, "context": c} for q, a, c in pairs]
    leaf = {"version": 4, "created_by": author, "task_description": task, "seed_examples": examples}
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), "compositional_skills/a", write_leaf(leaf))
        reading = read(Path(folder))
        assert [problem for problem in reading.problems if problem.severity == "error"] == []
        (found,) = reading.leaves
        assert (found.task, found.created_by) == (task, author)
        assert [(seed.question, seed.answer, seed.context) for seed in found.seeds] == pairs


def test_what_init_writes_is_read_and_sound_by_every_measure(tmp_path: Path) -> None:
    names = project.create(tmp_path / "new")
    reading = read(tmp_path / "new" / "taxonomy")
    assert len(reading.leaves) == sum(name.endswith("qna.yaml") for name in names)
    assert check([tmp_path / "new" / "taxonomy"], strict=True) == reading.problems == ()
    for leaf in reading.leaves:
        data = yaml.safe_load(Path(leaf.file).read_text(encoding="utf-8"))
        assert leaf.created_by == data["created_by"]
        groups = data["seed_examples"]
        pairs = [pair for group in groups for pair in group.get("questions_and_answers", [group])]
        assert [seed.question for seed in leaf.seeds] == [pair["question"].strip() for pair in pairs]


def test_an_empty_taxonomy_is_our_error(tmp_path: Path) -> None:
    with pytest.raises(TaxonomyError):
        read(tmp_path)
    (problem,) = check([tmp_path])
    assert problem.rule == "empty-taxonomy"
    write(tmp_path, "knowledge/a", knowledge())
    assert check([tmp_path]) == ()
