"""The whole pipeline: a taxonomy, a scripted teacher behind a real server, a tiny student."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab_project import (
    ENVIRONMENT,
    HELD_QUESTIONS,
    LEAVES,
    Project,
    Told,
    feldspar,
    keys,
    process,
    serving,
    until,
    write_project,
)

from feldspar import events, jsonl, lab
from feldspar.recipe import STAGES, load
from feldspar.teacher.scripted import Fault
from feldspar.types import Question


@pytest.fixture(scope="module")
def whole(
    student: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Project, Told, list[dict[str, Any]]]]:
    """An undisturbed run: its project, what it said, what its teacher was asked."""
    project = write_project(tmp_path_factory.mktemp("whole"), student)
    with serving() as server:
        told = feldspar(*[word for word in project.words(server) if word != "--quiet"])
        assert told.code == 0, told.err
        yield project, told, server.bodies


Whole = tuple[Project, Told, list[dict[str, Any]]]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_run_makes_every_stage_and_accounts_for_every_draw(whole: Whole) -> None:
    project, told, bodies = whole
    for stage in STAGES:
        assert (project.run / stage / "stage.json").is_file(), stage
    assert not list(project.run.rglob("*.partial"))
    funnel = json.loads((project.run / "2-samples" / "funnel.json").read_text())
    assert list(funnel) == sorted(LEAVES.values())
    accepted = rows(project.run / "2-samples" / "accepted.jsonl")
    rejected = rows(project.run / "2-samples" / "rejected.jsonl")
    for leaf, counts in funnel.items():
        assert counts["accepted"] == counts["target"] == sum(row["leaf"] == leaf for row in accepted)
        assert sum(counts["rejected"].values()) == sum(row["leaf"] == leaf for row in rejected)
        assert counts["draws"] == counts["accepted"] + sum(counts["rejected"].values())
        draws = sorted(int(r["id"].rpartition("#")[2]) for r in accepted + rejected if r["leaf"] == leaf)
        assert draws == list(range(1, counts["draws"] + 1))
    assert all(row["rejected"] for row in rejected)
    assert {row["rejected"] for row in rejected} >= {"unparsable", "too short", "held out", "ungrounded"}
    costs = json.loads((project.run / "costs.json").read_text())
    assert costs["sent"] == len(project.journal()) == len(bodies)
    page = (project.run / "report.html").read_text(encoding="utf-8")
    assert all(leaf in page for leaf in LEAVES.values())
    assert not re.search(r"(src|href)=.?(https?:)?//", page), "it opens without a network"
    assert "key-fact recall" in told.out
    assert "retention" in told.out
    for stage in STAGES:
        assert stage in told.err, "progress tells of every stage"


def test_all_phases_are_trained_and_one_checkpoint_of_each_is_chosen(whole: Whole) -> None:
    run = whole[0].run
    listed = json.loads((run / "4-checkpoints" / "checkpoints.json").read_text())
    assert [row["phase"] for row in listed if row["selected"]] == ["kt1", "kt2", "st"]
    for row in listed:
        weights = run / "4-checkpoints" / row["folder"] / "model.safetensors"
        assert weights.is_file() == row["selected"], row["folder"]
    last = next(row for row in listed if row["selected"] and row["phase"] == "st")
    chosen = (run / "4-checkpoints" / last["folder"] / "model.safetensors").read_bytes()
    assert (run / "model" / "model.safetensors").read_bytes() == chosen
    replayed = [row for row in rows(run / "3-phases" / "st.jsonl") if row["replayed_from"]]
    assert {row["replayed_from"] for row in replayed} == {"kt1", "kt2"}


def test_the_same_command_again_asks_and_makes_nothing(whole: Whole) -> None:
    project, _, bodies = whole
    before, stamps = len(bodies), {path: path.stat().st_mtime_ns for path in project.run.glob("*/stage.json")}
    seen: list[events.Event] = []
    # Nothing answers at this address: were the teacher only looked for, the run would fail.
    recipe = load(project.recipe, ["teacher.endpoints=[http://127.0.0.1:9/v1]"])
    lab.run(recipe, project.run, watch=seen.append)
    done = [event for event in seen if isinstance(event, events.StageDone)]
    assert [(event.name, event.skipped) for event in done] == [(stage, True) for stage in STAGES]
    assert {path: path.stat().st_mtime_ns for path in project.run.glob("*/stage.json")} == stamps
    assert len(bodies) == before


def test_show_tells_the_story_of_a_sample_and_of_a_rejected_draft(whole: Whole) -> None:
    project = whole[0]
    (sample, *_) = [
        row for row in rows(project.run / "2-samples" / "drafts.jsonl") if row["leaf"] == LEAVES["knowledge"]
    ]
    told = feldspar("show", project.run, sample["id"])
    assert told.code == 0
    for part in (
        "accepted", "tarn.md[", sample["passage"]["text"].strip(), sample["response"], "phases: kt",
        "request 1 (", "You read a text and write one short question", f"-> {sample['instruction']}",
    ):  # fmt: skip
        assert part in told.out, part
    draft = next(
        row for row in rows(project.run / "2-samples" / "rejected.jsonl") if row["rejected"] == "ungrounded"
    )
    told = feldspar("show", project.run, draft["id"])
    assert told.code == 0
    assert "rejected: ungrounded" in told.out
    assert "Zanzibar" in told.out
    assert f"request {len(draft['requests'])} (" in told.out
    told = feldspar("show", project.run, "knowledge/nowhere#1")
    assert told.code == 1
    assert "Ids look like this" in told.err


def test_nothing_that_is_graded_on_is_asked_of_the_teacher_or_trained_on(whole: Whole) -> None:
    project, _, bodies = whole
    held = [
        *jsonl.read(project.run / "1-leaves" / "questions.jsonl", Question),
        *(Question(text, "file", text, "") for text in HELD_QUESTIONS),
    ]
    assert len(held) == 4 + len(HELD_QUESTIONS)
    asked = " ".join(json.dumps(body, ensure_ascii=False) for body in bodies)
    shown = sum(seed["question"] in asked for leaf in leaves(project) for seed in leaf["seeds"])
    assert shown > 5, "the other seeds do stand in the prompts"
    trained = " ".join(
        message["content"]
        for phase in ("kt1", "kt2", "st")
        for row in rows(project.run / "3-phases" / f"{phase}.jsonl")
        for message in row["messages"]
        if message["role"] == "user"
    )
    for question in held:
        # One instruction serves many texts: of a grounded skill it is the text that must not be seen.
        unique = question.context or question.question
        assert unique not in asked, question.id
        assert unique not in trained, question.id
    dropped = json.loads((project.run / "3-phases" / "dropped.json").read_text())
    assert any(HELD_QUESTIONS[1] in row["reason"] for row in dropped), "the dataset's row is found out"


def leaves(project: Project) -> list[dict[str, Any]]:
    return rows(project.run / "1-leaves" / "leaves.jsonl")


def faults(number: int, _: dict[str, Any]) -> Fault | None:
    kinds: dict[int, Any] = {5: "status", 11: "reset", 17: "garbage", 23: "html", 29: "reset"}
    return Fault(kinds[number]) if number in kinds else None


@pytest.mark.parametrize(("in_flight", "wrong"), [(1, None), (16, None), (4, faults)])
def test_neither_concurrency_nor_faults_change_a_byte(
    in_flight: int, wrong: Any, whole: Whole, student: Path, tmp_path: Path
) -> None:
    project = write_project(tmp_path, student)
    with serving(faults=wrong, delay=0.001) as server:
        told = feldspar(*project.words(server, "generate", "--set", f"teacher.max_in_flight={in_flight}"))
        assert told.code == 0, told.err
        assert server.most_in_flight <= in_flight
        # Without faults only surplus can be without an answer, given up when the last sample is in.
        lost = len(server.bodies) - server.answered
        assert lost > in_flight if wrong else lost <= in_flight
    assert project.contents("2-samples") == whole[0].contents("2-samples")


def test_a_run_killed_while_generating_and_while_training_ends_as_if_it_had_not_been(
    whole: Whole, student: Path, tmp_path: Path
) -> None:
    project = write_project(tmp_path, student)
    with serving(delay=0.05) as server:
        words = project.words(server)
        running = process(*words)
        until(lambda: server.answered >= 12, running)
        running.kill()
        running.communicate()
        asked, committed = len(server.bodies), project.journal()
        assert 4 <= len(committed) <= asked
        assert not (project.run / "2-samples").exists()

        running = process(*words)
        until(lambda: any(project.run.glob("4-checkpoints.partial/*/step-*/checkpoint.json")), running)
        running.kill()
        running.communicate()
        assert not (project.run / "4-checkpoints").exists()
        again = keys(server.bodies[asked:])
        assert again, "it had to go on"
        assert not set(again) & set(committed)
        assert len(set(again)) == len(again)
        asked = len(server.bodies)

        running = process(*words)
        _, told = running.communicate(timeout=120)
        assert running.returncode == 0, told
        assert len(server.bodies) == asked
    posted, kept = keys(server.bodies), set(project.journal())
    assert kept <= set(posted)
    # What was in flight when it was killed is lost, and asked again where it is still needed.
    # So is what had come but was not committed, and surplus that a server still worked on at the end.
    assert len(posted) - len(set(posted)) <= 8
    assert len(set(posted) - kept) <= 8
    for stage in ("1-leaves", "2-samples", "3-phases", "model"):
        assert project.contents(stage) == whole[0].contents(stage), stage


def test_a_changed_recipe_is_redone_from_where_it_counts(whole: Whole, tmp_path: Path) -> None:
    shutil.copytree(whole[0].folder, tmp_path / "copy")
    project = Project(tmp_path / "copy")
    nowhere = "http://127.0.0.1:9/v1"
    change = ["--set", "phases.st.epochs=1"]
    told = feldspar(*project.words(nowhere, "run", *change))
    assert told.code == 1
    assert "4-checkpoints" in told.err
    assert "phases.st.epochs was 3 and is 1" in told.err
    assert project.contents("4-checkpoints") == whole[0].contents("4-checkpoints")
    stamps = {stage: (project.run / stage / "stage.json").stat().st_mtime_ns for stage in STAGES}
    assert feldspar(*project.words(nowhere, "run", *change, "--redo")).code == 0
    redone = [s for s in STAGES if (project.run / s / "stage.json").stat().st_mtime_ns != stamps[s]]
    assert redone == ["4-checkpoints", "model", "5-scores"]
    assert (project.run / "report.html").is_file()


LOADS = """
import json, sys
from datasets import load_dataset
cache, model, *files = sys.argv[1:]
for file in files:
    rows = load_dataset("json", data_files=file, split="train", cache_dir=cache)
    assert len(rows)
    for row in rows:
        # What TRL calls conversational: a list of turns, each of a role and a content.
        assert isinstance(row["messages"], list) and row["messages"]
        assert all(set(turn) == {"role", "content"} for turn in row["messages"])
        roles = [turn["role"] for turn in row["messages"]]
        assert roles[-1] == "assistant" and set(roles) <= {"system", "user", "assistant"}, roles
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(model)
ids = tokenizer.apply_chat_template(
    [{"role": "user", "content": "Where is Tarn?"}],
    add_generation_prompt=True, return_tensors="pt", return_dict=True,
)
out, found = AutoModelForCausalLM.from_pretrained(model, output_loading_info=True)
assert not found["missing_keys"] and not found["unexpected_keys"], found
print(len(files), out.generate(**ids, max_new_tokens=4, do_sample=False).shape[1])
"""


def test_other_tools_load_what_a_run_made(whole: Whole, tmp_path: Path) -> None:
    run = whole[0].run
    exported, model = tmp_path / "rows.jsonl", tmp_path / "model"
    assert feldspar("export", run, "--to", "messages", "--out", exported).code == 0
    assert feldspar("export", run, "--to", "hf", "--out", model).code == 0
    assert len(rows(exported)) == len(rows(run / "2-samples" / "accepted.jsonl"))
    phases = [run / "3-phases" / f"{name}.jsonl" for name in ("kt1", "kt2", "st")]
    files = [run / "2-samples" / "accepted.jsonl", *phases, exported]
    for folder in (model, run / "model"):
        assert (folder / "README.md").is_file()
    done = subprocess.run(
        [sys.executable, "-c", LOADS, tmp_path / "cache", model, *files],
        env={**ENVIRONMENT, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "5"
