from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from tests.tiny import make_tiny
from transformers import AutoModelForCausalLM, AutoTokenizer

from feldspar.errors import DatasetError, StudentError
from feldspar.evaluate import answer, compare, reply, retained, retention
from feldspar.types import Message, Question

ASKED = (
    Question(
        "t#1",
        "t",
        "Who keeps the lamp?",
        "Seven keepers take turns.",
        ("Seven keepers take turns.", "One.", "Nobody at all keeps the lamp of Orrin."),
        facts=("7",),
    ),
    Question("t#2", "t", "When is the lamp lit, and by whom is it lit?", "At dusk.", context="A lamp. " * 9),
    Question("t#3", "t", "Why?", "x"),
    Question("u#1", "u", "How many pages a year?", "They write 1,200 pages."),
)

Pair = tuple[Any, Any]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = make_tiny(tmp_path_factory.mktemp("tiny"))
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        # Sharper than at random, so that one continuation is clearly the likeliest.
        model.get_input_embeddings().weight.mul_(12)
    return model, AutoTokenizer.from_pretrained(folder)


def alone(tiny: Pair, question: Question, text: str) -> float:
    """The mean log-likelihood by the plainest means: one row, all the logits, no cache."""
    model, tokenizer = tiny
    asked = f"{question.context.strip()}\n\n{question.question}" if question.context else question.question
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": asked}], tokenize=False, add_generation_prompt=True
    )
    start = len(tokenizer(prompt)["input_ids"])
    ids = tokenizer(prompt + text)["input_ids"]
    with torch.no_grad():
        logs = model.eval()(torch.tensor([ids])).logits[0].log_softmax(-1)
    values = [float(logs[at - 1, ids[at]]) for at in range(start, len(ids))]
    return sum(values) / len(values)


@pytest.mark.parametrize("batch_tokens", [1, 200, 4096])
def test_batches_padding_and_shared_prompts_change_no_number(tiny: Pair, batch_tokens: int) -> None:
    found = answer(*tiny, ASKED, batch_tokens=batch_tokens)
    assert [one.question for one in found] == ["t#1", "t#2", "t#3", "u#1"]
    for one, question in zip(found, ASKED, strict=True):
        assert one.loglik == pytest.approx(alone(tiny, question, question.answer), abs=1e-4)
    values = [alone(tiny, ASKED[0], option) for option in ASKED[0].options]
    assert found[0].chosen == values.index(max(values))
    assert found[3].chosen is None


def test_free_answers_are_those_of_plain_greedy_generation(tiny: Pair) -> None:
    model, tokenizer = tiny
    found = answer(*tiny, ASKED)
    for one, question in zip(found, ASKED, strict=True):
        asked = (
            f"{question.context.strip()}\n\n{question.question}" if question.context else question.question
        )
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": asked}], tokenize=False, add_generation_prompt=True
        )
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        written = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=64, do_sample=False, pad_token_id=0
        )
        assert one.text == tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True).strip()


def test_the_likeliest_option_is_chosen_and_ties_go_against_the_reference(tiny: Pair) -> None:
    best = answer(*tiny, ASKED[:1], free=False)[0].chosen
    assert best is not None
    options = ASKED[0].options
    turned = replace(
        ASKED[0], answer=options[best], options=(options[best], *options[:best], *options[best + 1 :])
    )
    assert answer(*tiny, [turned], free=False)[0].chosen == 0
    from feldspar.evaluate.answers import _Asked, _grade

    assert _grade(_Asked(0, turned, [1], [[1], [1]]), [-1.0, -1.0], "", free=False).chosen == 1


def test_recall_is_the_share_of_facts(tiny: Pair) -> None:
    from feldspar.evaluate.answers import _Asked, _grade

    question = Question("q", "g", "Who?", "Isolde Marr came in 1387.", facts=("Isolde Marr", "1387"))
    assert _grade(_Asked(0, question, [1], [[1]]), [-1.0], "It was isolde marr.", free=True).recall == 0.5
    assert answer(*tiny, [question], free=False)[0].recall is None
    assert answer(*tiny, [question])[0].recall == 0.0


def test_quick_scores_are_the_same_and_leave_the_model_as_it_was(tiny: Pair) -> None:
    model, _ = tiny
    model.train()
    quick = [one.loglik for one in retained(*tiny, ASKED, ())]
    assert model.training
    assert torch.is_grad_enabled()
    assert quick == pytest.approx([one.loglik for one in answer(*tiny, ASKED, free=False)], abs=1e-5)
    assert retained(*tiny, (), ()) == ()
    assert answer(*tiny, ()) == ()


def test_half_precision_is_near(tiny: Pair) -> None:
    half, whole = (retained(*tiny, ASKED, (), half=half) for half in (True, False))
    assert [one.loglik for one in half] == pytest.approx([one.loglik for one in whole], rel=0.05)


def test_progress_is_told(tiny: Pair) -> None:
    told: list[tuple[int, int]] = []
    answer(*tiny, ASKED, free=False, watch=lambda done, all_: told.append((done, all_)), batch_tokens=1)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_texts_are_scored_whole_even_beyond_the_context(tiny: Pair) -> None:
    model, tokenizer = tiny
    text = "The lamp of Orrin is lit at dusk."
    ids = tokenizer(text)["input_ids"]
    with torch.no_grad():
        logs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    plain = sum(float(logs[at - 1, ids[at]]) for at in range(1, len(ids))) / (len(ids) - 1)
    (short,) = retained(*tiny, (), [text])
    assert short.loglik == pytest.approx(plain, abs=1e-5)
    (long,) = retained(*tiny, (), [text * 60])
    assert math.isfinite(long.loglik)
    with pytest.raises(DatasetError, match="text 2 is too short"):
        retained(*tiny, (), [text, ""])


def test_retention_sees_damage_and_only_damage(tiny: Pair) -> None:
    model, tokenizer = tiny
    texts = ["The lamp is lit at dusk.", "Boats and nets and salt."]
    before = retained(*tiny, ASKED, texts)
    assert [one.question for one in before] == ["t#1", "t#2", "t#3", "u#1", "text 1", "text 2"]
    same = retention(before, retained(*tiny, ASKED, texts))
    assert same is not None
    assert same.difference == 0
    weight = model.get_input_embeddings().weight
    kept = weight.detach().clone()
    try:
        with torch.no_grad():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)) * 0.2)
        after = retained(model, tokenizer, ASKED, texts)
    finally:
        with torch.no_grad():
            weight.copy_(kept)
    worse = retention(before, after)
    assert worse is not None
    assert worse.difference != 0
    assert worse.base == same.base
    assert {score.metric for score in compare(before, after)} == {"loglik"}


def test_reply_is_greedy_or_drawn_with_a_seed(tiny: Pair) -> None:
    turns = [Message("user", "Who keeps the lamp?")]
    assert reply(*tiny, turns, 12) == reply(*tiny, turns, 12)
    drawn = {reply(*tiny, turns, 12, temperature=5.0, seed=seed) for seed in (1, 1, 2, 3)}
    assert 2 <= len(drawn) <= 3
    assert reply(*tiny, turns, 12, temperature=5.0, seed=1) in drawn


def test_a_question_beyond_the_context_is_named(tiny: Pair) -> None:
    long = Question("t#9", "t", "word " * 600, "x")
    with pytest.raises(DatasetError, match="t#9 takes"):
        answer(*tiny, [long])


def test_a_model_without_a_template_is_refused(tmp_path: Path) -> None:
    folder = make_tiny(tmp_path, chat_template=False)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with pytest.raises(StudentError, match="no chat template"):
        answer(model, tokenizer, ASKED)


def test_question_files_are_read_without_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import feldspar.evaluate as e; e.contamination([], [])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": "src"}
    )
    assert done.returncode == 0, done.stderr
