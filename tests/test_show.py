"""`show`: the story of a sample, of a rejected draft, and of a draw that is in no file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.lab_project import LEAVES, Project, answers, feldspar, serving, write_project
from tests.test_rejudge import DEFAULT, judged, sets

from feldspar import showing
from feldspar.run import Run
from feldspar.teacher import Journal, Request


def rows(project: Project, name: str) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in (project.run / "2-samples" / f"{name}.jsonl").read_text().splitlines()
    ]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = write_project(tmp_path, tmp_path / "no-student")
    with serving(judged) as server:
        assert feldspar(*made.words(server, "generate", *sets(DEFAULT))).code == 0
    return made


def show(project: Project, name: str) -> str:
    told = feldspar("show", project.run, name)
    assert told.code == 0, told.err
    return told.out


def test_each_request_says_for_which_step_and_model_it_was(project: Project) -> None:
    draft = rows(project, "drafts")[0]
    told = show(project, draft["id"])
    assert told.startswith(f"{draft['id']}: accepted\n")
    steps = [line.split("): ")[1] for line in told.splitlines() if line.startswith("request ")]
    wanted = ["instruction", "instruction_judge", "precise", "pair_judge"]
    if draft["leaf"] == LEAVES["grounded"]:
        wanted.insert(0, "context")
    assert [step.replace("creative", "precise") for step in steps] == [
        f"{step}, by scripted" for step in wanted
    ]
    for verdict in draft["verdicts"]:
        score = "" if verdict["score"] is None else f" {verdict['score']:g}"
        assert f"{verdict['judge']}: keep{score}: {verdict['reason']}" in told


def test_a_journal_that_is_gone_is_said_to_be(project: Project) -> None:
    draft = rows(project, "drafts")[0]
    (project.run / "journal.sqlite").unlink()
    told = show(project, draft["id"])
    assert told.startswith(f"{draft['id']}: accepted\n")
    assert "journal.sqlite is gone" in told
    told = feldspar("rejudge", project.run).err
    assert "journal.sqlite is gone" in told
    assert not (project.run / "journal.sqlite").exists()


def test_a_rejected_draft_begins_with_its_reason_and_a_near_duplicate_with_its_twin(tmp_path: Path) -> None:
    made = write_project(tmp_path, tmp_path / "no-student")

    def alike(request: Request) -> str:
        # Every second verse is asked for in the same words, and one in a while is a seed's.
        if request.messages[0].content.startswith("You write one short request") and request.seed % 2:
            return "Write an amber anvil and brisk bakery verse"
        return answers(request)

    with serving(alike) as server:
        assert feldspar(*made.words(server, "generate")).code == 0
    rejected = [row for row in rows(made, "rejected") if row["rejected"] == "near-duplicate"]
    by_twin = {row["verdicts"][-1]["reason"]: row for row in rejected}
    (reason, row) = next((reason, row) for reason, row in by_twin.items() if "#" in reason)
    lines = show(made, row["id"]).splitlines()
    assert lines[0] == f"{row['id']}: rejected: near-duplicate"
    assert lines[1].endswith(f": {reason}")
    twin = next(one for one in rows(made, "drafts") if one["id"] == reason.removeprefix("like "))
    assert lines[2] == f"  {twin['id']}: {twin['instruction']}"
    assert lines[3] == f"  -> {twin['response']}"


def test_support_twins_and_turns_are_told(project: Project, tmp_path: Path) -> None:
    made = write_project(tmp_path / "more", tmp_path / "no-student")
    with serving() as server:
        assert feldspar(*made.words(server, "generate")).code == 0
    folder = made.run / "2-samples"
    drafts = rows(made, "drafts")
    draft = next(row for row in drafts if row["leaf"] == LEAVES["knowledge"] and row["support"])
    told = show(made, draft["id"])
    for span in draft["support"]:
        assert f"it stands on tarn.md[{span['start']}:{span['end']}]: " in told
    other = next(row for row in drafts if row["leaf"] != LEAVES["knowledge"])
    twin = {"id": draft["id"], "like": other["id"], "similarity": 0.81}
    (folder / "twins.jsonl").write_text(json.dumps(twin) + "\n")
    other["turns"] = [{"role": "user", "content": "And then?"}, {"role": "assistant", "content": "Rain."}]
    changed = [other if row["id"] == other["id"] else row for row in drafts]
    (folder / "drafts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in changed))
    assert f"twin: like {other['id']}, 0.81; the mix drops this one" in show(made, draft["id"])
    told = show(made, other["id"])
    assert f"twin: {draft['id']} is like it" in told
    assert "then user: And then?\nthen assistant: Rain." in told


def test_an_id_that_is_none_is_answered_with_near_ones(project: Project) -> None:
    for name, words in (
        ("compositional_skills/writing/vers#1", f"Did you mean {LEAVES['freeform']}#1"),
        ("x", "Ids look like this: "),
        (f"{LEAVES['freeform']}#999999", "The leaf has draws 1 to "),
        (f"{LEAVES['freeform']}#0", "The leaf has draws 1 to "),
        (f"{LEAVES['freeform']}#", "The leaf has draws 1 to "),
        (LEAVES["freeform"], "The leaf has draws 1 to "),
        (f"{LEAVES['knowledge']}#1", "The leaf has no draws"),
    ):
        told = feldspar("show", project.run, name)
        assert told.code == 1
        assert words in told.err, (name, told.err)


def test_a_draw_that_is_in_the_journal_alone_says_so(project: Project) -> None:
    funnel = json.loads((project.run / "2-samples" / "funnel.json").read_text())
    leaf = LEAVES["freeform"]
    # One more is drawn, as it would have been ahead of need, and the samples are as they were.
    kept = project.run / "kept"
    (project.run / "2-samples").rename(kept)
    with serving(judged) as server:
        more = [DEFAULT[0], 'generate.samples_per_leaf={"knowledge/*": 0, "*": 6}']
        assert feldspar(*project.words(server, "generate", *sets(more))).code == 0
        shutil.rmtree(project.run / "2-samples")
        kept.rename(project.run / "2-samples")
        assert feldspar(*project.words(server, "generate", *sets(DEFAULT))).code == 0
    told = show(project, f"{leaf}#{funnel[leaf]['draws'] + 1}")
    assert "surplus: it was begun ahead of need, and is in the journal alone" in told
    assert "request 1 (" in told
    assert ": instruction, by scripted" in told


def test_a_story_costs_no_more_memory_for_a_longer_file(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project.run / "2-samples"
    draft = rows(project, "drafts")[0]
    line = json.dumps({**draft, "id": "x#1", "response": "y" * 1000}) + "\n"
    with (folder / "drafts.jsonl").open("a") as file:
        for _ in range(2000):
            file.write(line)
    parsed: list[Any] = []
    real = showing.json.loads
    monkeypatch.setattr(showing.json, "loads", lambda text, **more: parsed.append(text) or real(text, **more))
    show(project, rows(project, "rejected")[0]["id"])
    assert sum(b"x#1" in text for text in parsed if isinstance(text, bytes)) == 0


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_run_that_is_paused_tells_of_its_draws_and_changes_nothing(tmp_path: Path) -> None:
    made, plain = (write_project(tmp_path / name, tmp_path / "no-student") for name in ("paused", "plain"))
    with serving() as server:
        assert feldspar("show", made.run, f"{LEAVES['freeform']}#1").code == 1
        assert feldspar(*plain.words(server, "generate")).code == 0
        whole = json.loads((plain.run / "costs.json").read_text())
        budget = (whole["prompt_tokens"] + whole["completion_tokens"]) // 2
        told = feldspar(*made.words(server, "generate", "--set", f"generate.budget.tokens={budget}"))
        assert "paused: " in told.err
    assert not (made.run / "2-samples").exists()
    before = contents(made.run)
    decided = {row["id"]: row for name in ("drafts", "rejected") for row in rows(plain, name)}
    heads, compared = set(), 0
    for leaf in LEAVES.values():
        for draw in range(1, 9):
            told = feldspar("show", made.run, f"{leaf}#{draw}")
            if told.code:
                assert f"has no sample or draft {leaf}#{draw} so far" in told.err
                assert f"{leaf}#1, {leaf}#2 and so on" in told.err
                continue
            head, *others = told.out.splitlines()
            heads.add(head.partition(": ")[2].partition(":")[0])
            assert others[0].startswith("The run is not finished")
            assert "can still turn out to be a near-duplicate" in told.out
            assert f"`feldspar generate {made.run}/recipe.yaml --out {made.run}` goes on" in told.out
            assert "generate.budget" in told.out
            assert "request 1 (" in told.out
            row = decided.get(f"{leaf}#{draw}")
            if row is not None and "kept so far" in head:
                assert row["rejected"] in ("", "near-duplicate")
                assert f"response: {row['response']}" in told.out or row["rejected"]
                compared += 1
            elif row is not None and "rejected so far" in head:
                assert row["rejected"] in (head.rpartition(": ")[2], "near-duplicate")
    assert compared
    assert {"kept so far", "rejected so far"} <= heads
    assert contents(made.run) == before
    # Another process may be at work on it.
    with Run(made.run), Journal(made.run / "journal.sqlite"):
        first = [feldspar("show", made.run, f"{leaf}#{draw}") for leaf in LEAVES.values() for draw in (1, 2)]
        assert 0 in {told.code for told in first}
    near = feldspar("show", made.run, "compositional_skills/writing/vers#1").err
    assert f"Did you mean {LEAVES['freeform']}#1" in near


def test_seeds_have_the_numbers_of_the_leaf_s_file(project: Project) -> None:
    lines = (project.run / "1-leaves" / "leaves.jsonl").read_text().splitlines()
    leaves = {leaf["path"]: leaf for leaf in map(json.loads, lines)}
    for row in rows(project, "drafts"):
        seeds = leaves[row["leaf"]]["seeds"]
        shown = [seeds[number - 1] for number in row["seeds"]]
        told = show(project, row["id"])
        for number, seed in zip(row["seeds"], shown, strict=True):
            assert f"  seed {number} (line {seed['line']}): {seed['question']}" in told
            # It is the one that the prompt has.
            assert seed["question"] in told.partition("request 1 (")[2]
