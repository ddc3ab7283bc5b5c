"""Whatever a teacher's servers do, `2-samples` holds the same bytes, and every call is accounted for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
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
    is_verdict,
    judged,
    keys,
    process,
    serving,
    until,
    write_project,
)

from feldspar import jsonl
from feldspar.teacher import Claim, Fault, HttpTeacher, Patience, Request, busy
from feldspar.teacher.scripted import ScriptedServer, scripted_server
from feldspar.teacher.turns import Turns
from feldspar.types import Message, Question

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
    assert set(project.journal()) <= set(posted)
    assert not list(project.run.rglob("*.partial"))


def test_faults_at_the_judges_change_no_byte_either(tmp_path: Path) -> None:
    """Two judges behind servers of their own, conversations of two turns, faults at all three."""

    def run(folder: Path, faulty: bool) -> Project:
        project = per_passage(folder, "default")
        with contextlib.ExitStack() as stack:
            faults = [one_in_five(n) if faulty else None for n in range(3)]
            servers = [stack.enter_context(serving(judged, faults=one, models=None)) for one in faults]
            judges = ", ".join(
                f"{{model: judge-{n}, endpoints: [{server.url}]}}" for n, server in enumerate(servers[1:])
            )
            more = [f"judges=[{judges}]", "generate.judges_agree=majority", TURNS, "teacher.max_in_flight=6"]
            more = [word for setting in more for word in ("--set", setting)]
            generate(project, servers[0].url, more=tuple(more))
            assert all(server.answered > 20 for server in servers)
            lost = [len(server.bodies) - server.answered for server in servers]
            assert min(lost) > 5 or not faulty
        return project

    undisturbed, project = run(tmp_path / "well", False), run(tmp_path / "ill", True)
    assert project.contents("2-samples") == undisturbed.contents("2-samples")
    assert any(len(row["messages"]) >= 4 for row in lines(project, "accepted.jsonl"))


TURNS = 'generate.turns={"compositional_skills/*": 2}'


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


@pytest.mark.parametrize("amount", ["{per_passage: 2}", "4"])
def test_a_document_whose_licence_is_refused_yields_nothing_and_is_named(amount: str, tmp_path: Path) -> None:
    project = per_passage(tmp_path, "default")
    kept = project.folder / "taxonomy" / LEAVES["knowledge"]
    out = kept.parent / "skerry"
    out.mkdir()
    qna = (kept / "qna.yaml").read_text().replace("CC0-1.0", "CC-BY-NC-4.0")
    (out / "qna.yaml").write_text(qna.replace("Tarn", "Skerry").replace("tarn.md", "skerry.md"))
    (out / "attribution.txt").write_text("Written for these tests.\n")
    (out / "skerry.md").write_text("# Skerry\n\nThe gannets of Skerry nest on a rock called Brannoch.\n" * 9)
    with serving(judged) as server:
        words = project.words(server, "generate", "--set", AMOUNTS.format(amount))
        told = feldspar(*[word for word in words if word != "--quiet"])
    assert told.code == 1, "a leaf without a sample is a problem, though the others have theirs"
    assert "knowledge/islands/skerry: skerry.md stays out: its licence is CC-BY-NC-4.0" in told.err
    assert "knowledge/islands/skerry: there is no document text to teach" in told.err
    assert not any("Brannoch" in turn["content"] for body in server.bodies for turn in body["messages"])
    rows = lines(project, "drafts.jsonl") + lines(project, "rejected.jsonl")
    assert {row["leaf"] for row in rows} == set(LEAVES.values())
    funnel = json.loads((project.run / "2-samples" / "funnel.json").read_text())
    assert funnel["knowledge/islands/skerry"]["draws"] == 0
    assert "no document text" in funnel["knowledge/islands/skerry"]["error"]
    assert all("Brannoch" not in (project.run / "2-samples" / name).read_text() for name in FILES)


AMOUNTS = 'generate.samples_per_leaf={{"knowledge/*": {}, "*": 3}}'
FILES = ("accepted.jsonl", "drafts.jsonl", "rejected.jsonl", "README.md")


def test_one_endpoint_of_three_dies_and_comes_back_while_a_run_goes_on(tmp_path: Path) -> None:
    amounts = ("--set", 'generate.samples_per_leaf={"knowledge/*": {per_passage: 5}, "*": 16}')
    undisturbed, project = (per_passage(tmp_path / name, "default") for name in ("one", "three"))
    with serving(judged) as fast:
        generate(undisturbed, fast.url, more=amounts)
    with contextlib.ExitStack() as stack:
        lasting = [stack.enter_context(serving(judged, delay=0.04, slots=4)) for _ in range(2)]
        dying = contextlib.ExitStack()
        first = dying.enter_context(serving(judged, delay=0.04, slots=4))
        port = int(first.url.split(":")[2].partition("/")[0])
        urls = ", ".join(server.url for server in [*lasting, first])
        running = process(*project.words(urls, "generate", *amounts))
        until(lambda: first.answered > 20, running)
        dying.close()
        died, answered = time.monotonic(), sum(server.answered for server in lasting)
        until(lambda: sum(server.answered for server in lasting) > answered + 30, running)
        shifted = time.monotonic() - died
        again = stack.enter_context(serving(judged, delay=0.04, slots=4, port=port))
        back = time.monotonic()
        until(lambda: again.answered > 10, running)
        returned = time.monotonic() - back
        _, told = running.communicate(timeout=60)
        assert running.returncode == 0, told
        posted = [key for server in [*lasting, first, again] for key in keys(server.bodies)]
    assert shifted < 3.0
    assert returned < 5.0
    assert project.contents("2-samples") == undisturbed.contents("2-samples")
    # What the dead one had in hand was sent again, and nothing else was.
    assert set(project.journal()) <= set(posted)
    assert len(posted) - len(set(posted)) <= 16


def test_the_long_rest_of_one_endpoint_does_not_delay_another_after_its_short_one() -> None:
    """The one asks to be left alone for long; the other breaks off for a moment, meanwhile."""

    async def run() -> float:
        began = time.monotonic()

        def breaks_off(*_: object) -> Fault | None:
            return Fault("reset") if 0.2 < time.monotonic() - began < 0.6 else None

        resting, working = (
            scripted_server(answers, lambda *_: busy(503, 30.0)),
            scripted_server(answers, breaks_off, delay=0.02),
        )
        async with resting as one, working as other:
            patience = Patience(first_pause=0.05, longest_pause=0.2)
            teacher = HttpTeacher("scripted", [one.url, other.url], max_in_flight=4, patience=patience)
            said = (Message("system", "You"), Message("user", "Write"))
            await asyncio.gather(*(teacher.ask(Request(said, seed=seed)) for seed in range(120)))
            await teacher.close()
        return time.monotonic() - began

    assert asyncio.run(run()) < 20.0


def test_a_request_counts_as_sent_the_moment_that_it_has_its_slot() -> None:
    """Else what is given up as merely waiting can be on its way already: paid for, and not counted."""

    async def run() -> list[bool]:
        free: list[str] = []
        turns = Turns(lambda: free.pop() if free else None, free.append)
        claim = Claim()
        waiting = asyncio.ensure_future(turns.wait((), turns.arrive(), claim))
        await asyncio.sleep(0)
        seen = [claim.sent]
        free.append("slot")
        turns.serve()
        seen.append(claim.sent)
        await waiting
        return seen

    assert asyncio.run(run()) == [False, True]


def repeating(request: Request) -> str:
    """A teacher that hits on the same instruction again and again."""
    said = answers(request)
    if request.messages[0].content.startswith("You write one short request"):
        return random.Random(said).choice(["Compose a verse on the amber anvil", "Sing of snow and lanterns"])
    return said


@pytest.mark.parametrize("in_flight", ["1", "4", "24"])
@pytest.mark.parametrize(("pack", "script"), [("small", answers), ("small", repeating), ("default", judged)])
def test_what_was_drawn_ahead_and_not_used_is_counted(
    in_flight: str, pack: str, script: Any, tmp_path: Path
) -> None:
    project = per_passage(tmp_path, pack)
    with serving(script, delay=0.002) as server:
        generate(project, server.url, more=("--set", f"teacher.max_in_flight={in_flight}"))
    rows = lines(project, "drafts.jsonl") + lines(project, "rejected.jsonl")
    used = {key for row in rows for key in row["requests"]}
    # The judges are calibrated before anything is drawn.
    rated = next(number for number, body in enumerate(server.bodies) if not is_verdict(body))
    assert bool(rated) == (pack == "default")
    costs = json.loads((project.run / "costs.json").read_text())
    stored, seen = (count - rated - len(used) for count in (len(project.journal()), len(server.bodies)))
    # What was seen beyond was given up on its way, most of it when the last quota was met.
    assert costs["surplus_calls"] == stored
    assert seen - stored <= int(in_flight) + 2
    assert (costs["last_generation_surplus_draws"] > 0) or not stored or script is repeating
    if script is repeating and in_flight == "24":
        assert any(row["rejected"] == "near-duplicate" for row in rows)
