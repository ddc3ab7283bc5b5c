"""`rejudge`: other thresholds, prompts and judges over what is stored."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tests.lab_project import LEAVES, Project, Told, feldspar, serving, write_project

from feldspar import jsonl
from feldspar.stages.comparing import compared
from feldspar.teacher import Request
from feldspar.types import Draft, Verdict

SKILLS = {LEAVES["freeform"], LEAVES["grounded"]}
DEFAULT = ["teacher.pack=default", 'generate.samples_per_leaf={"knowledge/*": 0, "*": 5}']
STRICT = [f"generate.prompts.{kind}.steps.pair_judge.parse.score.keep=3" for kind in ("freeform", "grounded")]
WORDS = "amber brisk copper dusty early frosty gentle hollow ivory jagged keen lofty mellow narrow".split()


def sets(settings: list[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def judged(request: Request) -> str:
    """Texts that are new for every request, and verdicts that a die throws."""
    die = random.Random(f"{request.seed} {request.messages[-1].content}")
    text = " ".join(die.choice(WORDS) + die.choice(WORDS) for _ in range(6))
    if not request.schema:
        return f"The {text} are here."
    reply: dict[str, object] = {}
    for key, kind in json.loads(request.schema)["properties"].items():
        choices = kind.get("enum")
        if choices is None:
            reply[key] = f"What of the {text} here?"
        elif "yes" in choices:
            reply[key] = die.choice(["yes"] * 9 + ["no"])
        else:
            reply[key] = die.choice([choices[0], choices[1], choices[-1], choices[-1]])
    return json.dumps(reply)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A run of two skills, drawn with the default pack and judged from 2 on."""
    made = write_project(tmp_path, tmp_path / "no-student")
    with serving(judged) as server:
        told = feldspar(*made.words(server, "generate", *sets(DEFAULT)))
        assert told.code == 0, told.err
    return made


def rejudge(project: Project, settings: list[str], *more: str) -> tuple[Told, dict[str, Any]]:
    told = feldspar("rejudge", project.run, *sets(settings), "--json", "--quiet", *more)
    return told, json.loads(told.out)


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def test_a_threshold_is_changed_without_any_teacher_and_redo_makes_what_is_missing(
    project: Project, tmp_path: Path
) -> None:
    before = project.contents("2-samples")
    old = {row["id"]: row for row in rows(project.run / "2-samples", "drafts")}
    # The teacher's address is that of a server which is gone.
    told, found = rejudge(project, STRICT)
    assert told.code == 0, told.err
    assert (found["asked"], found["changed"], found["lacking"]) == (0, True, True)
    new = {row["id"]: row for row in rows(project.run / "2-samples", "drafts")}
    for row in found["leaves"]:
        mine, was = ({i for i, one in group.items() if one["leaf"] == row["leaf"]} for group in (new, old))
        assert (row["before"], row["now"]) == (len(was), len(mine))
        assert (row["newly_in"], row["newly_out"]) == (len(mine - was), len(was - mine))
    assert sum(row["newly_out"] for row in found["leaves"]) > 0
    for row in new.values():
        assert [v["score"] for v in row["verdicts"] if v["judge"].startswith("pair")] == [3.0]
    (pair,) = [one for one in found["judges"] if one["judge"] == "pair"]
    assert pair["score_before"] == pair["score_now"], "the verdicts are the stored ones"
    # What generate made is kept, beside it.
    kept = project.run / "2-samples.before"
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    # The same settings again are refused with the reason, and made whole for no more than what is missing.
    other = write_project(tmp_path / "other", tmp_path / "no-student")
    with serving(judged) as server:
        words = project.words(server, "generate", *sets(DEFAULT + STRICT))
        told = feldspar(*words)
        assert told.code == 1
        assert "judged again over what was stored, and draws are missing" in told.err
        assert "--redo" in told.err
        assert feldspar(*words, "--redo").code == 0
        more = len(server.bodies)
    with serving(judged) as server:
        assert feldspar(*other.words(server, "generate", *sets(DEFAULT + STRICT))).code == 0
        assert more < len(server.bodies)
    assert project.contents("2-samples") == other.contents("2-samples")


def test_the_old_recipe_is_refused_with_the_difference_afterwards(project: Project) -> None:
    assert rejudge(project, STRICT)[0].code == 0
    with serving(judged) as server:
        told = feldspar(*project.words(server, "generate", *sets(DEFAULT)))
        assert told.code == 1
        assert "2-samples has other settings" in told.err
        assert "parse.score.keep" in told.err
        assert server.bodies == []


def test_the_same_thresholds_change_nothing_and_back_again_is_the_beginning(project: Project) -> None:
    before = project.contents("2-samples")
    told, found = rejudge(project, [])
    assert (told.code, found["changed"], found["lacking"]) == (0, False, False)
    recipe = (project.run / "recipe.yaml").read_bytes()
    told, found = rejudge(project, ["teacher.max_in_flight=3"])
    assert (told.code, found["changed"], found["settings"]) == (0, False, [])
    assert (project.run / "recipe.yaml").read_bytes() == recipe
    assert not (project.run / "2-samples.before").exists()
    assert project.contents("2-samples") == before
    assert rejudge(project, STRICT)[1]["changed"]
    looser = [setting.replace("keep=3", "keep=2") for setting in STRICT]
    found = rejudge(project, looser)[1]
    assert (found["changed"], found["lacking"]) == (True, False)
    after = project.contents("2-samples")
    assert {k: v for k, v in after.items() if k != "stage.json"} == {
        k: v for k, v in before.items() if k != "stage.json"
    }
    kept = project.run / "2-samples.before"
    assert (kept / "stage.json").read_bytes() == before["stage.json"], "it is what generate made, still"
    # Nothing is missing now: the same settings need no redo.
    with serving(judged) as server:
        assert feldspar(*project.words(server, "generate", *sets(DEFAULT + looser))).code == 0
        assert server.bodies == []


def test_a_new_judge_is_asked_for_verdicts_alone_and_started_late(project: Project) -> None:
    with serving(judged, models=("other",)) as server:
        settings = [f"judges=[{{model: other, endpoints: ['{server.url}']}}]"]
        told, found = rejudge(project, settings)
        assert told.code == 0, told.err
        asked = list(server.bodies)
        assert 0 < found["asked"] <= len(asked)
        (pair,) = [one for one in found["judges"] if one["judge"].startswith("pair")]
        assert pair["judge"] == "pair -> pair (other)"
        assert pair["count"] > 5
        # The same words are judged, and this teacher's die is thrown by them.
        assert pair["agreement"] == 1
        assert pair["score_before"] == pair["score_now"] > 1
        again, found = rejudge(project, settings)
        assert (again.code, found["changed"]) == (0, False)
        # A draw or two beyond the last, whose verdicts were on their way when the first was done.
        assert len(server.bodies) <= len(asked) + 4
    assert all("enum" in json.dumps(body["response_format"]) for body in asked), "only verdicts are asked for"
    verdicts = [v["judge"] for row in rows(project.run / "2-samples", "drafts") for v in row["verdicts"]]
    assert "pair (other)" in verdicts


def test_a_looser_judge_of_instructions_leaves_draws_that_were_never_carried_on(tmp_path: Path) -> None:
    def harsh(request: Request) -> str:
        reply = judged(request)
        return reply.replace('"yes"', '"no"') if request.seed % 2 else reply

    made = write_project(tmp_path, tmp_path / "no-student")
    with serving(harsh) as server:
        assert feldspar(*made.words(server, "generate", *sets(DEFAULT))).code == 0
    none = [f"generate.prompts.{kind}.steps.instruction_judge=none" for kind in ("freeform", "grounded")]
    with serving(harsh) as server:
        # What is left to judge is calibrated anew; nothing else is asked.
        told, found = rejudge(made, [*none, f"teacher.endpoints=[{server.url}]"])
        assert told.code == 0, told.err
        assert found["asked"] <= len(server.bodies) <= 110
        assert all("enum" in json.dumps(body["response_format"]) for body in server.bodies)
    assert found["lacking"]
    for row in found["leaves"]:
        assert row["not_stored"] > 0
        assert row["newly_out"] == 0, "what was kept is kept"
    rejected = rows(made.run / "2-samples", "rejected")
    assert sum(row["rejected"] == "not stored" for row in rejected) == sum(
        row["not_stored"] for row in found["leaves"]
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["generate.holdout=0"], "generate.holdout is new"),
        (["train.seed=5"], "train.seed was 0 and is 5"),
        (["taxonomy=nowhere"], "no verdict depends on taxonomy"),
        (
            ["generate.sampling=pool"],
            f"no draw of {LEAVES['grounded']}, {LEAVES['freeform']} is stored under these settings: "
            "generate.sampling is new",
        ),
        (
            [f"generate.prompts.freeform.steps.{step}.temperature=0.31" for step in ("precise", "creative")],
            f"no draw of {LEAVES['freeform']} is stored under these settings: generate.prompts.",
        ),
        (
            ["teacher.revision=2"],
            "is stored under these settings: teacher.revision was empty and is 2",
        ),
        (["generate.prompts.freeform.steps.pair_judge.parse.score.kep=3"], "kep"),
    ],
)
def test_what_changes_more_than_verdicts_is_refused_and_nothing_is_lost(
    project: Project, settings: list[str], words: str
) -> None:
    before = project.contents("2-samples")
    recipe = (project.run / "recipe.yaml").read_bytes()
    told, found = rejudge(project, settings)
    assert told.code == 1
    assert words in found["error"]["what"], told.err
    assert project.contents("2-samples") == before
    assert (project.run / "recipe.yaml").read_bytes() == recipe


def test_a_run_without_samples_is_named(tmp_path: Path) -> None:
    told = feldspar("rejudge", tmp_path)
    assert told.code == 1
    assert "is no run" in told.err


def test_people_are_told_leaf_by_leaf(project: Project) -> None:
    told = feldspar("rejudge", project.run, *sets(STRICT))
    assert told.code == 0
    for part in (
        f"`feldspar generate {project.run}/recipe.yaml --out {project.run} --redo` makes them",
        f"in force now, by {project.run}/recipe.yaml: generate.prompts.freeform.steps.pair_judge.parse",
        "newly out",
        "pair: ",
        "mean score",
        "0 requests were sent",
        "2-samples.before",
        "--redo",
        *SKILLS,
    ):
        assert part in told.out, part


def test_a_draw_whose_writing_is_not_stored_is_not_newly_out(tmp_path: Path) -> None:
    fates = {"old": ["", "", "", "judged out"], "new": ["not stored", "judged out"]}
    for name, given in fates.items():
        (tmp_path / name).mkdir()
        drafts = [Draft(f"a#{n}", "a", n, rejected=fate) for n, fate in enumerate(given, 1)]
        jsonl.write(tmp_path / name / "drafts.jsonl", [one for one in drafts if not one.rejected])
        jsonl.write(tmp_path / name / "rejected.jsonl", [one for one in drafts if one.rejected])
    for ended, out, absent in ((True, 1, 3), (False, 2, 1)):
        (row,), _, lost = compared(tmp_path / "old", tmp_path / "new", {"a": ended})
        assert (row.before, row.now, row.newly_out, row.not_stored, lost) == (3, 0, out, absent, [])


def test_verdicts_of_other_models_are_matched_by_their_question(tmp_path: Path) -> None:
    def verdicts(*said: tuple[str, float]) -> tuple[Verdict, ...]:
        return tuple(Verdict(judge, score >= 2, score) for judge, score in said)

    olds = [
        verdicts(("form", 3), ("pair (a)", 3), ("pair (b)", 1)),
        verdicts(("instruction", 3), ("pair (a)", 3)),
        verdicts(("pair (a)", 3)),
        verdicts(("pair (a)", 3), ("pair (b)", 2)),
    ]
    news = [
        verdicts(("form", 1), ("pair (c)", 1), ("pair (d)", 1)),
        verdicts(("instruction", 3), ("pair (c)", 2)),
        verdicts(("pair (c)", 3), ("pair (d)", 3)),  # one for two: no telling
        verdicts(("pair (b)", 2), ("pair (c)", 3)),  # b is b; c stands for a
    ]
    for name, given in (("old", olds), ("new", news)):
        (tmp_path / name).mkdir()
        drafts = [Draft(f"a#{n}", "a", n, verdicts=one) for n, one in enumerate(given, 1)]
        jsonl.write(tmp_path / name / "drafts.jsonl", drafts)
        jsonl.write(tmp_path / name / "rejected.jsonl", [])
    _, judges, _ = compared(tmp_path / "old", tmp_path / "new", {})
    found = {
        one.judge: (one.count, round(one.agreement, 2), one.score_before, one.score_now) for one in judges
    }
    assert found == {
        "form": (1, 0, 3, 1),
        "instruction": (1, 1, 3, 3),
        "pair (a) -> pair (c)": (3, 0.67, 3, 2),
        "pair (b)": (1, 1, 2, 2),
        "pair (b) -> pair (d)": (1, 1, 1, 1),
    }
