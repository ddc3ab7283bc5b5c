"""Quotas that have spent their budget: nothing of theirs is missing."""

from __future__ import annotations

import json
from pathlib import Path

from tests.lab_project import LEAVES, answers, feldspar, serving, write_project

from feldspar.recipe import load
from feldspar.teacher import Request

PER_PASSAGE = 'generate.samples_per_leaf={"knowledge/*": {per_passage: 2}, "*": 2}'

TRADE = ("smoked trout", "Salt is raked", "ferry Plover")
"""What each sentence of the last passage has."""


def test_a_passage_that_yields_nothing_spends_its_budget_and_no_draw_is_missing(tmp_path: Path) -> None:
    project = write_project(tmp_path, tmp_path / "no-student")

    def mute(request: Request) -> str:
        asked = "\n".join(message.content for message in request.messages)
        return "?" if any(words in asked for words in TRADE) else answers(request)

    with serving(mute) as server:
        told = feldspar(*project.words(server, "generate", "--json", "--set", PER_PASSAGE))
    funnel = json.loads((project.run / "2-samples" / "funnel.json").read_text())
    leaf = funnel[LEAVES["knowledge"]]
    kept = leaf["accepted"]
    assert (0 < kept < 6, leaf["target"], leaf["spent"]) == (True, 6, True)
    most = 6 * load(project.run / "recipe.yaml").generate.max_draws_per_sample
    assert leaf["draws"] < most, "the other passages' budgets were not needed"
    (note,) = [note for note in json.loads(told.out)["notes"] if note.startswith(LEAVES["knowledge"])]
    assert f": {kept} of 6 samples after {leaf['draws']} draws, which is its budget" in note
    assert [one["spent"] for name, one in funnel.items() if name != LEAVES["knowledge"]] == [False, False]
    # Judged again it is spent as before.
    again = feldspar("rejudge", project.run, "--json", "--quiet")
    assert json.loads(again.out)["lacking"] is False, again.err
