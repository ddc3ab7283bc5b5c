"""What a model is graded on: questions found as by brute force, and benchmark files of every shape."""

from __future__ import annotations

import json
import random
import resource
from collections import Counter
from itertools import accumulate
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feldspar import recipe
from feldspar.errors import DatasetError
from feldspar.generate.avoid import asked_in
from feldspar.generate.checks import likeness
from feldspar.generate.contamination import meets
from feldspar.generate.held import FORM, RUN, Held
from feldspar.text import words

LAKE = "How deep is the lake?"
PROBLEM = "Ada buys three boxes of nails for the boat and pays with a note of ten crowns at the market"


def runs(text: list[str]) -> set[tuple[str, ...]]:
    return {tuple(text[at : at + RUN]) for at in range(len(text) - RUN + 1)}


def by_force(prompt: str, instruction: str, questions: list[str], benchmarks: list[str]) -> float | None:
    """The likeness of the first question that is met, 0 where a run is shared; None where none is."""
    graded = list(dict.fromkeys(tuple(words(text)) for text in benchmarks if words(text)))
    plain = dict.fromkeys(tuple(words(text)) for text in questions if words(text))
    forms = {run for run, count in Counter(r for q in graded for r in runs(list(q))).items() if count > FORM}
    whole = words(prompt)
    line = f" {' '.join(whole)} "
    for question in (*(q for q in plain if q not in graded), *graded):
        like = max(likeness(text, question, 0.9) for text in (whole, words(instruction)))
        if len(question) >= 5 and f" {' '.join(question)} " in line:
            like = 1.0
        if like:
            return round(like, 3)
        if question in graded and (runs(whole) & runs(list(question))) - forms:
            return 0.0
    return None


def found(prompt: str, instruction: str, *held: Held) -> float | None:
    flaw = meets(prompt, instruction, *held)
    return None if flaw is None else flaw.score or 0.0


TEXT = st.lists(st.sampled_from([*"aaabbcd", "e!", "深い", "?"]), max_size=24).map(" ".join)
LONG = st.lists(st.sampled_from("abcdefghijkl"), min_size=10, max_size=40).map(" ".join)


@given(
    st.lists(TEXT | LONG, max_size=14),
    st.lists(TEXT | LONG, max_size=30),
    st.lists(st.tuples(TEXT, TEXT | LONG), max_size=4),
    st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=60)
def test_the_first_question_that_is_met_is_the_one_by_brute_force(
    questions: list[str], benchmarks: list[str], asked: list[tuple[str, str]], dice: random.Random
) -> None:
    held = Held.build(questions, benchmarks)
    for text in (*questions, *benchmarks):
        said = text.split()
        place = dice.randrange(len(said) + 1)
        asked += [("", text), (f"a b {text}", "c"), ("", " ".join([*said[:place], "z", *said[place:]]))]
        asked.append(("k l", " ".join(said[place:] + said[:place])))
    for context, instruction in asked:
        prompt = f"{context}\n{instruction}"
        assert found(prompt, instruction, held) == by_force(prompt, instruction, questions, benchmarks)


@pytest.mark.parametrize("many", [FORM, FORM + 1])
def test_a_run_of_many_questions_is_their_form(many: int) -> None:
    form = "Read the passage and say which of the four answers after it is the right one"
    held = Held.build([], [f"{form}: why {n}a {n}b {n}c {n}d {n}e" for n in range(many)])
    assert (meets(form, form, held) is None) == (many > FORM)
    whole = f"{form}: why 4a 4b 4c 4d 4e"
    assert found(whole, whole, held) == (1.0 if many > FORM else 0.0), "all of it is a question all the same"
    asked = "which of the four answers after it is the right one: why 5a?"
    assert found(asked, asked, held) == 0.0, "beyond the form it is one question's"


def test_forms_with_slots_are_told_from_questions_as_by_brute_force() -> None:
    dice = random.Random(7)
    slots = [[f"{place}{n}" for n in range(1 + (place % 6 == 0) * 2)] for place in range(30)]
    questions = [" ".join(dice.choice(slot) for slot in slots) for _ in range(150)]
    held = Held.build([], questions)
    assert len(held.forms) > 20
    results: Counter[float | None] = Counter()
    for _ in range(300):
        said = dice.choice(questions).split()
        start, size = dice.randrange(17), dice.randrange(12, 17)
        asked = " ".join(["so", *said[start : start + size], "then", *dice.choice(questions).split()[:9]])
        result = found(asked, asked, held)
        assert result == by_force(asked, asked, [], questions)
        results[result] += 1
    assert min(results[None], results[0.0]) > 20


def test_thirteen_words_in_a_row_of_a_benchmark_are_its_question() -> None:
    held = Held.build([], [PROBLEM])
    said = PROBLEM.split()
    for count, flaw in ((RUN, True), (RUN - 1, False)):
        asked = f"In a town far off, {' '.join(said[4 : 4 + count])}, and what then?"
        assert bool(meets(asked, asked, held)) == flaw
    asked = " ".join(said[4 : 4 + RUN])
    flawed = meets(asked, asked, held)
    assert flawed is not None
    assert (flawed.reason, flawed.score) == ("held out", None)
    assert "13 words" in flawed.words
    assert meets(asked, asked, Held.build([PROBLEM])) is None, "a leaf's seeds share their form"
    assert meets(asked, asked, Held.build([PROBLEM], [PROBLEM])), "unless a benchmark has it too"


@pytest.mark.parametrize(
    ("context", "instruction", "held"),
    [
        ("", "how deep IS the lake, please", True),
        ("Quarl is a lake.", "How deep is the lake?", True),
        ("Some say: how deep is the lake? Others do not.", "List what they say", True),
        ("", "How wide is the lake?", False),
        ("", "Deep?", False),
        ("", "Why?!", True),
        ("Quarl is a lake.", "And why is that so?", False),
        ("", "?!", False),
    ],
)
def test_a_question_is_met_in_a_prompt_or_its_instruction(context: str, instruction: str, held: bool) -> None:
    index = Held.build(["What else is there?", LAKE, "Why?", "?!", ""])
    assert len(index) == 3
    assert bool(meets(f"{context}\n{instruction}", instruction, index)) == held


def test_a_leaf_s_own_questions_come_before_the_run_s() -> None:
    own, shared = Held.build([f"{LAKE} Say it now"]), Held.build([], [LAKE])
    asked = f"{LAKE} Say it now please"
    assert found(asked, asked, own, shared) == 1.0
    assert found(asked, asked, Held.build([])) is None
    assert found("", "", own, shared) is None


def test_among_thousands_of_questions_a_draft_costs_little() -> None:
    dice = random.Random(2)
    vocabulary = [f"w{n}" for n in range(20_000)]
    weights = list(accumulate(1 / (n + 1) for n in range(20_000)))
    texts = [
        " ".join(dice.choices(vocabulary, cum_weights=weights, k=dice.randrange(8, 60))) for _ in range(4_000)
    ]
    held = Held.build([], texts[:3_000])
    before = process_time()
    for text in texts[3_000:]:
        meets(text, text, held)
    spent = (process_time() - before) / 1_000
    assert spent < 0.001, f"{spent * 1e6:.0f} µs a draft"


def read_benchmark(path: Path) -> list[str]:
    """The questions alone."""
    return [text for text, _, _ in asked_in(path)]


def write(path: Path, *entries: object) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return path


SHAPES: list[tuple[object, list[str]]] = [
    (
        {"question_id": 81, "turns": [LAKE, "And how wide?"], "reference": ["41 m"]},
        [LAKE, "And how wide?"],
    ),
    (
        {"question": LAKE, "choices": ["41 m", "7 m"], "answer": 0, "subject": "lakes"},
        [f"{LAKE}\n41 m\n7 m", LAKE],
    ),
    ({"question": LAKE, "choices": {"text": ["a", "b"], "label": ["A", "B"]}}, [f"{LAKE}\na\nb", LAKE]),
    ({"question": LAKE, "options": {"A": "41 m", "B": 7}}, [f"{LAKE}\n41 m\n7", LAKE]),
    ({"question": PROBLEM, "answer": "10"}, [PROBLEM]),
    (
        {"context": "Quarl is a lake.", "question": LAKE, "answers": {"text": []}},
        [f"Quarl is a lake.\n{LAKE}"],
    ),
    ({"instruction": "Translate this", "input": LAKE, "output": "?"}, [f"Translate this\n{LAKE}"]),
    ({"instruction": "Tell a joke", "input": "", "output": "?"}, ["Tell a joke"]),
    ({"prompt": LAKE}, [LAKE]),
    ({"text": LAKE}, [LAKE]),
    (
        {"messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": LAKE}]},
        [LAKE],
    ),
    ({"prompt": [{"role": "user", "content": [{"type": "text", "text": LAKE}]}]}, [LAKE]),
    ({"conversations": [{"from": "human", "value": LAKE}, {"from": "gpt", "value": "41 m"}]}, [LAKE]),
    ({"doc_id": 3, "doc": {"question": LAKE, "answer": "x"}, "target": "x"}, [LAKE]),
    (LAKE, [LAKE]),
]
KINDS = ["jsonl", "json", "mapping", "lines.json", "yaml"]


@pytest.mark.parametrize(
    ("kind", "entry", "texts"),
    # A JSON file of a text alone is none, so there are no lines of it.
    [
        (kind, *shape)
        for kind in KINDS
        for shape in SHAPES
        if kind != "lines.json" or not isinstance(shape[0], str)
    ],
)
def test_the_shapes_that_benchmarks_come_in(
    tmp_path: Path, kind: str, entry: object, texts: list[str]
) -> None:
    path = tmp_path / f"benchmark.{kind}"
    whole: object = {"version": 1, "data": [entry], "licence": "MIT"} if kind == "mapping" else [entry]
    if kind in {"jsonl", "lines.json"}:
        write(path, entry)
    else:
        # YAML reads JSON.
        path = path.with_suffix(".yml" if kind == "yaml" else ".json")
        path.write_text(json.dumps(whole, indent=2), encoding="utf-8")
    assert read_benchmark(path) == texts


def test_a_stem_that_many_choices_have_is_no_question(tmp_path: Path) -> None:
    stem = "Which of these is true?"
    entries = [{"question": stem, "choices": [str(n)]} for n in range(3)]
    assert read_benchmark(write(tmp_path / "mmlu.jsonl", *entries)) == [f"{stem}\n{n}" for n in range(3)]


def test_a_question_file_of_feldspar_s(tmp_path: Path) -> None:
    path = tmp_path / "lake.yaml"
    path.write_text(
        f"questions:\n  - question: {LAKE}\n    answer: 41 m\ntexts:\n  - The sun warms the sea.\n"
    )
    assert read_benchmark(path) == [LAKE, "The sun warms the sea."]


BAD = [
    ("b.jsonl", '{"question": "a b"}\n\n{"question": \n', ":3: is not JSON"),
    ("b.jsonl", '{"id": 4, "label": "x"}\n', ":1: no question is in it; its keys are `id`, `label`"),
    ("b.jsonl", '{"question": "a"}\n{"question": 5}\n', ":2: `question` is no text"),
    ("b.jsonl", '{"question": "  "}\n', ":1: `question` is empty"),
    ("b.jsonl", "[1]\n", ":1: is no question, but list"),
    ("b.jsonl", '{"messages": [{"role": "assistant", "content": "x"}]}\n', "`messages` has no turn"),
    ("b.jsonl", '{"question": "a", "choices": 3}\n', ":1: `choices` is no list"),
    ("b.jsonl", "[" * 100_000, ":1: is not JSON: nested too deep"),
    ("b.jsonl", "9" * 5_000, ":1: is not JSON: Exceeds the limit"),
    ("b.jsonl", "\n\n", "has no questions"),
    ("b.json", "[" * 100_000, ":1: is not JSON: nested too deep"),
    ("b.json", '[\n{"question": "a"},\n{"question": }]', ":3: is not JSON"),
    ("b.json", '[\n{"question": "a"}\n{"question": "b"}]', ":3: is not JSON: `]` is expected, not `{`"),
    ("b.json", '[\n\n{"x": 1}]', ":3: no question is in it; its keys are `x`"),
    ("b.json", '[{"question": "a"}', "is not JSON: `]` is expected, not `the end`"),
    ("b.json", "", ":1: is not JSON"),
    ("b.json", '{"meta": 1, "rows": [\n3]}', ":2: is no question, but int"),
    ("b.yaml", "- question: a\n- x: 1\n", ":2: no question is in it; its keys are `x`"),
    ("b.yaml", "things:\n- a\n", ":1: is no list; its keys are `things`"),
    ("b.yaml", "- a\n- [b\n", "is not YAML"),
    ("b.yaml", "", ":1: is no list"),
    ("b.yaml", "- !!python/object/apply:os.system [ls]\n", ":1: is not YAML"),
    ("b.yaml", "- when: 2001-99-99\n", "is not YAML that can be read"),
    ("b.yaml", "[" * 10_000, "YAML"),
    ("b.csv", "question\na\n", "`.csv` is no kind of benchmark file that is known"),
]


@pytest.mark.parametrize(("name", "text", "told"), BAD)
def test_a_file_that_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        read_benchmark(path)
    assert f"{path}" in caught.value.what
    assert told in caught.value.what
    assert caught.value.mend


def test_files_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    path.write_bytes(b'"a"\n\xff\n')
    with pytest.raises(DatasetError, match=":2: is not UTF-8"):
        read_benchmark(path)
    for name in ("nowhere.jsonl", "nowhere.yaml"):
        with pytest.raises(DatasetError, match=r"nowhere.*No such file"):
            read_benchmark(tmp_path / name)
    with pytest.raises(DatasetError, match="directory"):
        read_benchmark(tmp_path.rename(tmp_path.with_suffix(".jsonl")))


def test_what_is_too_large_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b.json", "b.yaml"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(DatasetError, match="MB, which is the most"):
            read_benchmark(tmp_path / name)
    with (tmp_path / "b.jsonl").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DatasetError, match=r":1: the line has more than 4 MB"):
        read_benchmark(tmp_path / "b.jsonl")
    monkeypatch.setattr("feldspar.generate.avoid._MOST_QUESTIONS", 2)
    with pytest.raises(DatasetError, match="more than 2 questions"):
        read_benchmark(write(tmp_path / "c.jsonl", "a", "b", "c"))


def test_yaml_that_refers_to_itself_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    levels = [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    path.write_text("\n".join(["- &a0 [x, x]", *levels]))
    with pytest.raises(DatasetError, match=":2: a YAML alias"):
        read_benchmark(path)
    path.write_text("- &a\n  question: *a\n")
    with pytest.raises(DatasetError, match=":2: a YAML alias"):
        read_benchmark(path)
    merged = [f"  a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12)]
    path.write_text("\n".join(["- a0: &a0 {question: Why?}", *merged]))
    with pytest.raises(DatasetError, match=":2: a YAML alias"):
        read_benchmark(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 << 20


def test_files_to_avoid_are_settings_of_the_samples_alone(tmp_path: Path) -> None:
    """A run of a version that did not know the key goes on with the digests it has."""
    (tmp_path / "recipe.yaml").write_text("taxonomy: taxonomy\n")
    plain = recipe.load(tmp_path / "recipe.yaml")
    avoiding = recipe.load(tmp_path / "recipe.yaml", ["generate.avoid=[mt_bench/question.jsonl]"])
    assert avoiding.generate.avoid == (tmp_path / "mt_bench" / "question.jsonl",)
    assert "avoid" not in recipe.part(plain, "2-samples")["generate"]
    changed = [
        stage
        for stage in recipe.STAGES
        if recipe.part_digest(plain, stage) != recipe.part_digest(avoiding, stage)
    ]
    assert changed == ["2-samples"]


def test_a_flaw_names_the_question_and_where_it_is_from(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lakes.jsonl"
    path.parent.mkdir()
    choices = {"question": "Which of these lakes is deepest", "choices": ["Quarl", "Tarn"]}
    path.write_text(
        "\n".join(json.dumps(one) for one in ({"question": LAKE}, choices, {"question": PROBLEM}))
    )
    own = Held.build(["Name the ferry of Quarl at once"])
    files = [("Name the fish of the lake now", "fish#", 7), ("Plain words of no number", "x", 0)]
    graded = Held.build(files, asked_in(path))
    for asked, told in (
        ("Name the ferry of Quarl, at once!", '"name the ferry of quarl at once" (a held-out seed)'),
        ("Name the fish of the lake now.", '"name the fish of the lake now" (fish#7)'),
        ("Plain words of no number", '"plain words of no number" (x)'),
        (LAKE, "(lakes.jsonl:1)"),
        ("Which of these lakes is deepest?", '"which of these lakes is deepest" (lakes.jsonl:2)'),
        (PROBLEM, "(lakes.jsonl:3)"),
        (" ".join(PROBLEM.split()[2 : 2 + RUN]), "(lakes.jsonl:3)"),
    ):
        flaw = meets(asked, asked, own, graded)
        assert flaw is not None, asked
        assert flaw.words.endswith(told)
        assert len(flaw.words) < 300
        assert str(tmp_path) not in flaw.words


def test_a_question_that_stands_twice_is_told_by_its_first_place() -> None:
    held = Held.build([(LAKE, "a#", 1)], [(LAKE, "b:", 5), (LAKE, "b:", 9)])
    assert len(held) == 1
    assert held.told(0).endswith("(b:5)")
    long = Held.build([" ".join(f"word{n}" for n in range(30))])
    assert long.told(0).endswith('word19 …" (a held-out seed)')
