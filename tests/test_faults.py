"""Whatever a teacher's servers do, `2-samples` holds the same bytes, and every call is accounted for."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab_project import (
    HELD_QUESTIONS,
    LEAVES,
    Project,
    answers,
    feldspar,
    judged,
    keys,
    serving,
    write_project,
)

from feldspar import jsonl
from feldspar.teacher import Fault, Patience, busy
from feldspar.teacher.scripted import ScriptedServer
from feldspar.types import Question

SCRIPTS = {"small": answers, "default": judged}
FAULTS = (
    busy(429),
    busy(429, 0.05),
    busy(503),
    busy(503, 0.1),
    busy(529),
    Fault("status", 500),
    Fault("status", 502, "<html>Bad gateway</html>"),
    Fault("reset"),
    Fault("truncated"),
    Fault("garbage"),
    Fault("html"),
    Fault("hang"),
)
HANGS = 6
"""Of one server: each holds a slot until its time-out."""


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses and time-outs of a test's length, in place of minutes."""
    hasty = Patience(request=1.0, connect=1.0, first_pause=0.01, longest_pause=0.1)
    monkeypatch.setattr("feldspar.teacher.http.Patience", lambda: hasty)


def per_passage(folder: Path, pack: str) -> Project:
    """A knowledge leaf with a quota for each passage, beside a freeform and a grounded skill."""
    project = write_project(folder, folder / "no-student")
    recipe = project.recipe.read_text()
    recipe = recipe.replace('"knowledge/*": 9', '"knowledge/*": {per_passage: 3}')
    project.recipe.write_text(recipe.replace("pack: small", f"pack: {pack}"))
    return project


def generate(project: Project, *urls: str, more: tuple[str, ...] = ()) -> None:
    told = feldspar(*project.words(", ".join(urls), "generate", *more))
    assert told.code == 0, told.err


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Project, list[dict[str, Any]]]]:
    """By pack, an undisturbed run and what its teacher was asked."""
    made: dict[str, tuple[Project, list[dict[str, Any]]]] = {}

    def of(pack: str) -> tuple[Project, list[dict[str, Any]]]:
        if pack not in made:
            project = per_passage(tmp_path_factory.mktemp(pack), pack)
            with serving(SCRIPTS[pack]) as server:
                generate(project, server.url)
                made[pack] = project, server.bodies
        return made[pack]

    return of


def one_in_five(seed: int) -> Callable[[int, dict[str, Any]], Fault | None]:
    """A fault of any kind in place of one answer in five."""
    die, hung = random.Random(seed), []

    def fault(number: int, _: dict[str, Any]) -> Fault | None:
        chosen = die.choice(FAULTS) if die.random() < 0.2 else None
        if chosen is not None and chosen.kind == "html" and number < 20:
            return None  # Before anything was answered that is a wrong address, and said at once.
        if chosen is not None and chosen.kind == "hang":
            hung.append(number)
            return chosen if len(hung) <= HANGS else None
        return chosen

    return fault


@contextlib.contextmanager
def several(count: int, script: Any, seed: int) -> Iterator[list[ScriptedServer]]:
    """Servers, each with faults of its own and a pace of its own."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(serving(script, faults=one_in_five(seed + n), delay=0.002 * n))
            for n in range(count)
        ]


@pytest.mark.parametrize(
    ("pack", "endpoints", "in_flight"),
    [
        ("default", 1, "4"),
        ("default", 2, "auto"),
        ("default", 1, "1"),
        ("default", 3, "9"),
        ("small", 1, "auto"),
        ("small", 2, "24"),
    ],
)
def test_faults_in_one_call_of_five_change_no_byte(
    pack: str, endpoints: int, in_flight: str, whole: Any, tmp_path: Path
) -> None:
    undisturbed, _ = whole(pack)
    project = per_passage(tmp_path, pack)
    with several(endpoints, SCRIPTS[pack], len(in_flight) + endpoints) as servers:
        more = ("--set", f"teacher.max_in_flight={in_flight}")
        generate(project, *(server.url for server in servers), more=more)
        posted = [key for server in servers for key in keys(server.bodies)]
        answered = sum(server.answered for server in servers)
    assert all(server.answered for server in servers)
    assert 0.1 * len(posted) < len(posted) - answered < 0.4 * len(posted)
    assert project.contents("2-samples") == undisturbed.contents("2-samples")
    # A reply that came was never asked for again.
    kept = project.journal()
    assert len(kept) == answered
    assert set(kept) <= set(posted)
    assert not list(project.run.rglob("*.partial"))


def test_each_passage_and_each_skill_has_its_samples_exactly(whole: Any) -> None:
    for pack in SCRIPTS:
        project, _ = whole(pack)
        rows = lines(project, "drafts.jsonl")
        starts = [row["passage"]["start"] for row in rows if row["leaf"] == LEAVES["knowledge"]]
        assert len(set(starts)) > 1
        assert sorted(starts) == sorted([*set(starts)] * 3)
        for leaf in (LEAVES["freeform"], LEAVES["grounded"]):
            assert sum(row["leaf"] == leaf for row in rows) == 4


def test_the_funnel_adds_up_to_the_files_whatever_went_wrong(whole: Any) -> None:
    for pack in SCRIPTS:
        project, _ = whole(pack)
        funnel = json.loads((project.run / "2-samples" / "funnel.json").read_text())
        kept, rejected = lines(project, "accepted.jsonl"), lines(project, "rejected.jsonl")
        assert len(kept) == len(lines(project, "drafts.jsonl"))
        for leaf, row in funnel.items():
            assert row["accepted"] == sum(one["leaf"] == leaf for one in kept)
            reasons = [one["rejected"] for one in rejected if one["leaf"] == leaf]
            assert row["rejected"] == {reason: reasons.count(reason) for reason in sorted(set(reasons))}
            assert row["draws"] == row["accepted"] + len(reasons)
            assert sum(row["judges"].values()) == len(reasons)


def lines(project: Project, name: str) -> list[dict[str, Any]]:
    text = (project.run / "2-samples" / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_no_held_out_seed_is_in_any_request(whole: Any) -> None:
    """Of the calibration, too, and of leaves with a quota for each passage."""
    for pack in SCRIPTS:
        project, bodies = whole(pack)
        held = list(jsonl.read(project.run / "1-leaves" / "questions.jsonl", Question))
        assert len(held) == 4
        assert (project.run / "2-samples" / "calibration.json").exists() == (pack == "default")
        asked = "\n".join(turn["content"] for body in bodies for turn in body["messages"])
        for question in held:
            # One instruction serves many texts: of a grounded skill it is the text that must not be seen.
            assert (question.context or question.question) not in asked, question.id
            assert question.answer not in asked or question.leaf == LEAVES["knowledge"], question.id
        assert all(text not in asked for text in HELD_QUESTIONS)
