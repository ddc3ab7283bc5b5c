"""Budgets of tokens and money: a pause that loses nothing and changes no byte."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.lab_project import Project, feldspar, keys, serving, write_project

from feldspar import recipe
from feldspar.errors import BudgetSpent, RecipeError, TeacherError
from feldspar.teacher import (
    Budget,
    Claim,
    Journal,
    Journaled,
    Price,
    Reply,
    Request,
    ScriptedTeacher,
    asked,
)
from feldspar.types import Message

CHEAP = "teacher.price={prompt: 10, completion: 30}"


def spent(project: Project) -> int:
    costs = json.loads((project.run / "costs.json").read_text())
    return int(costs["prompt_tokens"]) + int(costs["completion_tokens"])


def test_a_run_that_pauses_twice_ends_in_the_same_bytes(tmp_path: Path) -> None:
    plain, paused = (write_project(tmp_path / name, tmp_path / "no-student") for name in ("one", "two"))
    with serving() as server:
        assert feldspar(*plain.words(server, "generate")).code == 0
    whole = spent(plain)
    with serving(delay=0.003) as server:
        for budget in (whole // 3, 2 * whole // 3):
            told = feldspar(*paused.words(server, "generate", "--set", f"generate.budget.tokens={budget}"))
            assert told.code == 1
            assert re.search(rf"paused: [\d,]+ of {budget:,} tokens are spent", told.err)
            assert re.search(r"\d+ of 17 samples are there:\n  \S+: \d+ of \d+\n", told.err)
            assert "Raise generate.budget.tokens" in told.err
            assert "Traceback" not in told.err
            # What was in flight came home, and nothing was sent after.
            assert len(server.bodies) == len(paused.journal())
            largest = max(len(json.dumps(body)) for body in server.bodies)
            assert budget <= spent(paused) <= budget + 4 * largest
            assert not (paused.run / "2-samples").exists()
            before = len(server.bodies)
            assert feldspar(
                *paused.words(server, "generate", "--set", f"generate.budget.tokens={budget}")
            ).code
            assert len(server.bodies) == before, "a spent budget asks nothing"
        assert (
            feldspar(*paused.words(server, "generate", "--set", "generate.budget.tokens=99999999")).code == 0
        )
        posted = keys(server.bodies)
    assert len(set(posted)) == len(posted)
    # Surplus is counted over all three processes: what no draft and no calibration is made of.
    files = [paused.run / "2-samples" / f"{name}.jsonl" for name in ("drafts", "rejected")]
    used = sum(len(json.loads(row)["requests"]) for file in files for row in file.read_text().splitlines())
    rated = paused.run / "2-samples" / "calibration.json"
    used += len(json.loads(rated.read_text())["asked"]) if rated.exists() else 0
    costs = json.loads((paused.run / "costs.json").read_text())
    assert costs["surplus_calls"] == len(paused.journal()) - used
    assert paused.contents("2-samples") == plain.contents("2-samples")


def test_money_pauses_too_and_a_pilot_keeps_to_it(tmp_path: Path) -> None:
    project = write_project(tmp_path, tmp_path / "no-student")
    sets = ["--set", CHEAP, "--set", "generate.budget.cost=0.02"]
    with serving() as server:
        told = feldspar(*project.words(server, "plan", "--pilot", "5", *sets))
        assert told.code == 1
        assert re.search(r"paused: 0\.\d+ of 0\.02 .* are spent", told.err)
        told = feldspar(*project.words(server, "generate", "--json", *sets))
        assert "paused: " in json.loads(told.out)["error"]["what"]
        assert len(server.bodies) == len(project.journal()) < 60


def test_budgets_and_prices_are_part_of_no_digest_and_must_fit(tmp_path: Path) -> None:
    project = write_project(tmp_path, tmp_path / "no-student")
    plain = recipe.load(project.recipe)
    priced = recipe.load(project.recipe, [CHEAP, "generate.budget={tokens: 5, cost: 2.5}"])
    judge = "judges=[{model: m, endpoints: ['http://127.0.0.1:9/v1'], price: {prompt: 1}}]"
    judges = [recipe.load(project.recipe, [judge, *more]) for more in ([], [CHEAP])]
    for stage in recipe.STAGES:
        assert recipe.part_digest(plain, stage) == recipe.part_digest(priced, stage)
        assert recipe.part_digest(judges[0], stage) == recipe.part_digest(judges[1], stage)
    (project.folder / "again.yaml").write_text(recipe.dump(priced, project.folder))
    assert recipe.load(project.folder / "again.yaml") == priced
    for wrong, words in (
        ("generate.budget.cost=5", "needs `teacher.price"),
        ("generate.budget.tokens=0", "at least 1"),
        ("generate.budget={cost: .inf}", "should be a number"),
        ("teacher.price={prompt: -1}", "at least 0"),
        ("generate.budget.token=5", "did you mean `generate.budget.tokens`"),
    ):
        with pytest.raises(RecipeError, match=re.escape(words)):
            recipe.load(project.recipe, [wrong])


def request(number: int, claim: Claim | None = None) -> Request:
    return Request((Message("user", f"say {number}"),), seed=number, claim=claim)


class Gate:
    """A teacher that takes two at a time, and answers when a gate opens."""

    identity = "gate"

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.slots = asyncio.Semaphore(2)
        self.answered: list[int] = []
        self.closed = False

    async def ask(self, request: Request) -> Reply:
        if request.seed:
            await self.slots.acquire()
        if request.claim is not None:
            request.claim.sent = True
        if request.seed:
            await self.open.wait()
        self.answered.append(request.seed)
        return Reply("said", "stop", 60, 40)

    async def close(self) -> None:
        self.closed = True


def test_what_is_in_flight_comes_home_and_what_waits_is_given_up(tmp_path: Path) -> None:
    async def played() -> tuple[Gate, list[Any], int]:
        gate = Gate()
        with Journal(tmp_path / "journal.sqlite") as journal:
            budget = Budget(tmp_path / "journal.sqlite", tokens=100)
            teacher = Journaled(gate, journal, budget=budget)
            # Two are sent and hang, one waits for a slot; the fourth brings the budget's end.
            waiting = [asyncio.create_task(teacher.ask(request(n))) for n in (1, 2, 3)]
            await asyncio.sleep(0.01)
            assert (await teacher.ask(request(0))).text == "said"
            found = await asyncio.gather(*waiting[-1:], return_exceptions=True)
            with pytest.raises(BudgetSpent, match="100 of 100 tokens"):
                await teacher.ask(request(9))
            # Who asked for what is in flight gives up: it is paid for, and kept all the same.
            for task in waiting[:2]:
                task.cancel()
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(0.02, gate.open.set)
            await teacher.close()
            count = journal.count()
        return gate, found, count

    gate, found, count = asyncio.run(played())
    assert [type(one) for one in found] == [BudgetSpent]
    assert sorted(gate.answered) == [0, 1, 2]
    assert count == 3
    assert gate.closed


def test_what_is_stored_is_had_for_nothing_and_counts_for_every_process(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        text = asked(request(1), "scripted")
        journal.put(text, Reply("old", "stop", 70, 30)).result()

    async def ask(number: int, **limits: Any) -> str:
        with Journal(path) as journal:
            teacher = ScriptedTeacher(lambda _: "new words")
            journaled = Journaled(teacher, journal, budget=Budget(path, **limits))
            return (await journaled.ask(request(number))).text

    assert asyncio.run(ask(1, tokens=100)) == "old"
    with pytest.raises(BudgetSpent):
        asyncio.run(ask(2, tokens=100))
    assert asyncio.run(ask(2, tokens=101)) == "new words"
    with pytest.raises(BudgetSpent, match=r"teacher\.price"):
        asyncio.run(ask(3, cost=0.0001, price=Price(1.0, 1.0)))


def test_each_model_has_its_price_also_for_what_other_processes_spent(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        for identity in ("writer@1", 'jud"ge/\u00e4@2'):
            journal.put(asked(request(1), identity), Reply("x", "stop", 1_000_000, 500_000)).result()
    prices = {'jud"ge/\u00e4@2': Price(0.25, 0.5)}
    budget = Budget(path, cost=100.0, price=Price(1.0, 4.0), prices=prices)
    budget.check()
    assert (budget.cost, budget.tokens) == (3.0 + 0.5, 3_000_000)
    budget.note('jud"ge/\u00e4@2', Reply("x", "stop", 1_000_000, 0))
    assert budget.cost == 3.75


def test_a_server_that_does_not_count_cannot_be_budgeted(tmp_path: Path) -> None:
    class Mute:
        identity = "mute"

        async def ask(self, request: Request) -> Reply:
            return Reply("said")

        async def close(self) -> None:
            pass

    async def ask() -> None:
        with Journal(tmp_path / "journal.sqlite") as journal:
            budget = Budget(tmp_path / "journal.sqlite", tokens=100)
            await Journaled(Mute(), journal, budget=budget).ask(request(1))

    with pytest.raises(TeacherError, match="how many tokens"):
        asyncio.run(ask())
