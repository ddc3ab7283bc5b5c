from __future__ import annotations

import asyncio
import json

import pytest
from tests.generate.plans import knowledge, plan, skill

from feldspar.generate import Calibration, calibrate, load_pack
from feldspar.teacher import Request, ScriptedTeacher

PACK = load_pack("default")
PLANS = [plan(skill(seeds=8)), plan(skill("notice", seeds=8, context=True)), plan(knowledge())]


def judged(function: object, plans: object = None, pack: object = PACK) -> Calibration | None:
    teacher = ScriptedTeacher(function)  # type: ignore[arg-type]
    return asyncio.run(calibrate(plans or PLANS, teacher, pack, seed=1))  # type: ignore[arg-type]


def verdict(request: Request, good: bool) -> str:
    if "score" in request.schema:
        return json.dumps({"explanation": "", "score": 3 if good else 1})
    return json.dumps({f"{j}_verdict": "yes" if good else "no" for j in ("answers", "faithful")})


def right(request: Request) -> bool:
    """Whether the pair is a seed of the leaves above, as it was written."""
    said = request.messages[-1].content
    return any(s.question in said and s.answer in said for p in PLANS for s in p.seeds)


def test_a_judge_that_knows_is_not_at_chance() -> None:
    found = judged(lambda request: verdict(request, right(request)))
    assert found == Calibration(38, 0, pytest.approx(1.0), pytest.approx(0.0))
    assert not found.at_chance


@pytest.mark.parametrize(("always", "bias"), [(True, 0.5), (False, -0.5)])
def test_a_judge_that_says_the_same_to_all_is_at_chance_and_its_bias_shows(always: bool, bias: float) -> None:
    found = judged(lambda request: verdict(request, always))
    assert found is not None
    assert found.at_chance
    assert (found.agreement, found.bias) == (pytest.approx(0.5), pytest.approx(bias))


def test_an_unreadable_judge_is_counted_and_no_made_up_score() -> None:
    found = judged(lambda _: "hm")
    assert found == Calibration(0, 38, 0.0, 0.0)
    assert found.at_chance


def test_without_a_judge_there_is_nothing_to_measure() -> None:
    assert judged(lambda _: "", pack=load_pack("small")) is None
    assert judged(lambda _: "", plans=[plan(skill(seeds=1))]) is None
