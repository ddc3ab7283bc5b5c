"""Rows in each published shape, invented for these tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feldspar.errors import DatasetError, RecipeError
from feldspar.mix.adapters import ADAPTERS, Skip, by_columns, recognised
from feldspar.mix.datasets import read_dataset
from feldspar.mix.sources import ADAPTER_NAMES, find_dataset
from feldspar.types import Message

PARAGRAPHS = [
    {"idx": 0, "title": "Tarn", "paragraph_text": "Tarn is an island.", "is_supporting": False},
    {"idx": 1, "title": "The Plover", "paragraph_text": "The Plover serves Tarn.", "is_supporting": True},
    {"idx": 2, "title": "Ann Reed", "paragraph_text": "Ann Reed built the Plover.", "is_supporting": True},
]
MUSIQUE = {
    "id": "2hop__1_2",
    "paragraphs": PARAGRAPHS,
    "question": "Who built the ferry of Tarn?",
    "question_decomposition": [
        {"id": 1, "question": "Tarn >> ferry", "answer": "The Plover", "paragraph_support_idx": 1},
        {"id": 2, "question": "#1 >> builder", "answer": "Ann Reed", "paragraph_support_idx": 2},
    ],
    "answer": "Ann Reed",
    "answer_aliases": ["A. Reed"],
    "answerable": True,
}
CONALA = {
    "question_id": 41067960,
    "intent": "How to turn a list round?",
    "rewritten_intent": "turn list `xs` round",
    "snippet": "xs[::-1]",
}
ILAB = {
    "messages": [
        {"content": "You are a cautious assistant.", "role": "system"},
        {"content": "Name the ferry.", "role": "user"},
        {"content": "The Plover.", "role": "assistant"},
    ],
    "metadata": '{"dataset": "document_knowledge_qa"}',
    "id": "7f1c",
    "unmask": True,
}
NODE = {
    "task_description": "Ask",
    "question": "Name it.",
    "response": "Plover.",
    "context": "The Plover sails.",
}
TURNS = [{"from": "human", "value": "Name it."}, {"from": "gpt", "value": "Plover."}]
SYSTEM_TURN = {"from": "system", "value": "Be brief."}
PUBLISHED: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "FLAN, Open-Orca/FLAN": (
        "flan",
        {
            "inputs": "Is it so?\nOptions:\n- yes\n- no",
            "targets": "yes",
            "_template_idx": 3,
            "_task_source": "CoT",
            "_task_name": "cot_creak",
            "_template_type": "zs_opt",
        },
        ["Is it so?\nOptions:\n- yes\n- no", "yes"],
    ),
    "FLAN, Muennighoff/flan": (
        "flan",
        {"inputs": "Is it so?", "targets": "It is.\n", "task": "anli_r1_10templates"},
        ["Is it so?", "It is."],
    ),
    "FLAN, flat": (
        "flan",
        {"source": "Is it so?", "target": "It is.", "task_name": "anli", "template_idx": 1},
        ["Is it so?", "It is."],
    ),
    "MathInstruct": (
        "mathinstruct",
        {"source": "data/CoT/gsm.json", "instruction": "What is 2 + 2?", "output": "2 + 2 = 4\n"},
        ["What is 2 + 2?", "2 + 2 = 4"],
    ),
    "instruction with an input": (
        "mathinstruct",
        {"instruction": "Add.", "input": "2, 2", "output": "4"},
        ["Add.\n\n2, 2", "4"],
    ),
    "CoNaLa, curated": ("conala", CONALA, ["turn list `xs` round", "xs[::-1]"]),
    "CoNaLa, not rewritten": (
        "conala",
        CONALA | {"rewritten_intent": None},
        ["How to turn a list round?", "xs[::-1]"],
    ),
    "CoNaLa, mined": (
        "conala",
        {
            "question_id": 1,
            "parent_answer_post_id": 2,
            "prob": 0.87,
            "snippet": "    xs[::-1]",
            "intent": "round?",
            "id": "2_1_0",
        },
        ["round?", "    xs[::-1]"],
    ),
    "MuSiQue": (
        "musique",
        MUSIQUE,
        [
            "The Plover\nThe Plover serves Tarn.\n\nAnn Reed\nAnn Reed built the Plover.\n\n"
            "Who built the ferry of Tarn?",
            "Ann Reed",
        ],
    ),
    "ilab, train_msgs": ("ilab", ILAB, ["You are a cautious assistant.", "Name the ferry.", "The Plover."]),
    "ilab, no system prompt": (
        "ilab",
        ILAB | {"messages": [{"role": "system", "content": ""}, *ILAB["messages"][1:]]},
        ["Name the ferry.", "The Plover."],
    ),
    "ilab, train_gen": (
        "ilab",
        {"system": "You are cautious.", "user": "Name it.\nThe Plover sails.", "assistant": "Plover."},
        ["You are cautious.", "Name it.\nThe Plover sails.", "Plover."],
    ),
    "ilab, node dataset of a skill": ("ilab", NODE, ["The Plover sails.\n\nName it.", "Plover."]),
    "ilab, node dataset whose question holds its context": (
        "ilab",
        NODE | {"question": "The Plover sails.\nName it."},
        ["The Plover sails.\nName it.", "Plover."],
    ),
    "ilab, node dataset with messages beside": (
        "ilab",
        NODE | {"id": "1", "messages": ILAB["messages"]},
        ["You are a cautious assistant.", "The Plover sails.\n\nName the ferry.", "The Plover."],
    ),
    "ilab, messages that hold their context": (
        "ilab",
        NODE
        | {
            "messages": [
                {"role": "user", "content": "The Plover sails.\n\nName it."},
                {"role": "assistant", "content": "Plover."},
            ]
        },
        ["The Plover sails.\n\nName it.", "Plover."],
    ),
    "ilab, node dataset of knowledge": (
        "ilab",
        {"question": "Name it.", "response": "Plover.", "document": "The ferry.", "domain": "islands"},
        ["The ferry.\n\nName it.", "Plover."],
    ),
    "ilab, generated": (
        "ilab",
        {"instruction": "Name it.", "input": "A ferry.", "output": "Plover.", "taxonomy_path": "a->b"},
        ["Name it.\nA ferry.", "Plover."],
    ),
    "ShareGPT": (
        "sharegpt",
        {"id": "1", "conversations": [SYSTEM_TURN, *TURNS, *TURNS, TURNS[0]]},
        ["Be brief.", "Name it.", "Plover.", "Name it.", "Plover."],
    ),
    "messages": (
        "messages",
        {"messages": ILAB["messages"][1:] * 2, "source": "x"},
        ["Name the ferry.", "The Plover.", "Name the ferry.", "The Plover."],
    ),
}


def contents(said: tuple[Message, ...] | Skip) -> list[str]:
    assert not isinstance(said, Skip), said
    return [message.content for message in said]


@pytest.mark.parametrize("shape", PUBLISHED)
def test_each_published_shape_is_recognised_and_read(shape: str, tmp_path: Path) -> None:
    name, row, said = PUBLISHED[shape]
    assert recognised([row]) == name
    assert contents(ADAPTERS[name](row, "x:1")) == said
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    assert contents(read_dataset(find_dataset(path)).samples[0].messages) == said


@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [
        ("flan", {"inputs": "a", "targets": " \n"}, "no answer"),
        ("flan", {"inputs": None, "targets": "a"}, "no question"),
        ("mathinstruct", {"instruction": "", "input": "", "output": "4"}, "no question"),
        ("conala", CONALA | {"snippet": ""}, "no answer"),
        ("musique", MUSIQUE | {"answerable": False}, "unanswerable"),
        ("ilab", {"user": "a", "assistant": ""}, "no answer"),
        ("ilab", {"messages": [*ILAB["messages"][:2], {"role": "assistant", "content": ""}]}, "no answer"),
        (
            "ilab",
            {"messages": [{"role": "pretraining", "content": "<|user|>\na\n<|assistant|>\nb"}]},
            "pretraining text, which has no turns",
        ),
        ("ilab", {"text": "<|user|>\na\n<|assistant|>\nb"}, "pretraining text, which has no turns"),
        ("sharegpt", {"conversations": TURNS[1:] + TURNS}, "turns that do not alternate"),
        ("sharegpt", {"conversations": [SYSTEM_TURN]}, "turns that do not alternate"),
        ("sharegpt", {"conversations": [TURNS[0], {"from": "gpt", "value": " "}]}, "an empty turn"),
    ],
)
def test_a_row_that_carries_nothing_is_skipped_with_its_reason(
    name: str, row: dict[str, Any], reason: str
) -> None:
    assert ADAPTERS[name](row, "x:1") == Skip(reason)


@pytest.mark.parametrize(
    ("name", "row", "words"),
    [
        (
            "flan",
            {"inputs": "a", "target": "b"},
            "x:7: there is no `targets`; its columns: `inputs`, `target`",
        ),
        ("flan", {"inputs": ["a"], "targets": "b"}, "x:7: `inputs` is a list"),
        ("mathinstruct", {"instruction": 4, "output": "b"}, "`instruction` is a number"),
        ("mathinstruct", {"instruction": "a", "output": {"b": 1}}, "`output` is an object"),
        ("conala", {"intent": "a", "snippet": True}, "`snippet` is true or false"),
        ("musique", MUSIQUE | {"paragraphs": "all"}, "`paragraphs` is a text, and should be a list"),
        ("musique", MUSIQUE | {"paragraphs": ["a"]}, "`paragraphs` is a list, and should be a list of obj"),
        ("musique", MUSIQUE | {"answerable": "no"}, "`answerable` is a text, and should be true or false"),
        ("musique", MUSIQUE | {"paragraphs": [{"title": "a"}]}, "there is no `paragraph_text`"),
        (
            "ilab",
            {"a": 1, "\x1b[31mb": 2},
            "nothing that `ilab data generate` writes; its columns: `a`, `�[31mb`",
        ),
        ("ilab", {"messages": [{"role": "user", "content": "a"}]}, "x:7: the last message"),
        ("ilab", {"messages": "a"}, "x:7: there is no list of messages"),
        ("flan", {"inputs": "a\ud800", "targets": "b"}, "half a character"),
    ],
)
def test_a_row_of_another_form_is_named_with_its_place(name: str, row: dict[str, Any], words: str) -> None:
    with pytest.raises(DatasetError) as caught:
        ADAPTERS[name](row, "x:7")
    assert words in caught.value.what
    assert "x:7" in caught.value.what
    assert caught.value.mend
    assert "\x1b" not in str(caught.value)


def test_columns_map_names_dotted_paths_and_numbers() -> None:
    read = by_columns({"user": "q.text", "assistant": "answers.0.value", "system": "sys", "context": "a.b"})
    row = {"q": {"text": "How many?"}, "answers": [{"value": 7}], "sys": "Be brief.", "a.b": "Seven boats."}
    assert contents(read(row, "x:1")) == ["Be brief.", "Seven boats.\n\nHow many?", "7"]
    assert contents(read(row | {"sys": None}, "x:1")) == ["Seven boats.\n\nHow many?", "7"]
    assert read(row | {"answers": [{"value": None}]}, "x:1") == Skip("no answer")
    assert read(row | {"q": None}, "x:1") == Skip("no question")
    with pytest.raises(DatasetError, match=r"no `answers\.0\.value`, which columns\.assistant names"):
        read(row | {"answers": []}, "x:1")
    with pytest.raises(DatasetError, match="is true or false"):
        read(row | {"q": {"text": True}}, "x:1")


@pytest.mark.parametrize("template", ["{q}", "{{ q }}", "q + a", "__class__", "0", "${q}", "q.__len__"])
def test_a_template_in_columns_is_a_name_like_any_other(template: str) -> None:
    with pytest.raises(DatasetError, match=r"which columns\.user names"):
        by_columns({"user": template, "assistant": "a"})({"q": "What?", "a": "That."}, "x:1")


@pytest.mark.parametrize(
    "columns",
    [{}, {"user": "q"}, {"user": "q", "assistant": ""}, {"user": "q", "assistant": "a", "who": "b"}],
)
def test_columns_that_say_too_little_or_too_much_are_refused(columns: dict[str, str]) -> None:
    with pytest.raises(RecipeError, match="columns"):
        by_columns(columns)


def test_auto_names_the_columns_of_a_form_that_it_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": "a", "completion": "b", "score": 3}) + "\n")
    with pytest.raises(DatasetError) as caught:
        find_dataset(path)
    assert caught.value.what == (
        f"{path}:1: there is no form that is known; its columns: `prompt`, `completion`, `score`"
    )
    assert "adapter: columns, columns: {user: prompt, assistant: completion}" in caught.value.mend
    mapped = find_dataset(path, adapter="columns", columns={"user": "prompt", "assistant": "completion"})
    assert contents(read_dataset(mapped).samples[0].messages) == ["a", "b"]


def test_a_mapped_column_that_no_first_row_has_is_found_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"q": "a", "a": "b"}) + "\n" + json.dumps({"q": "a", "a": "b", "ctx": "c"}))
    find_dataset(path, adapter="columns", columns={"user": "q", "assistant": "a", "context": "ctx"})
    with pytest.raises(DatasetError, match=r"no `contxt`, which columns\.context names"):
        find_dataset(path, adapter="columns", columns={"user": "q", "assistant": "a", "context": "contxt"})


def test_auto_looks_past_rows_that_say_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"inputs": None, "targets": None}, {"inputs": "a", "targets": "b"}]
    path.write_text("\n".join(map(json.dumps, rows)))
    read = read_dataset(find_dataset(path))
    assert (len(read), read.skipped) == (1, {"no question": 1})


def test_all_that_ilab_leaves_in_a_folder_is_read(tmp_path: Path) -> None:
    """Its training files, in two forms; what it tests with and its parts stay out."""
    folder = tmp_path / "2024-10-01_101500"
    (folder / "node_datasets_2024").mkdir(parents=True)
    pretraining = {
        "messages": [{"role": "pretraining", "content": "<|user|>\na"}],
        "metadata": "{}",
        "id": "1",
    }
    files = {
        "knowledge_train_msgs_2024.jsonl": [ILAB, pretraining],
        "skills_train_msgs_2024.jsonl": [ILAB | {"messages": ILAB["messages"][1:]}],
        "train_gen.jsonl": [{"system": "s", "user": "u", "assistant": "a"}],
        "test_gen.jsonl": [{"system": "s", "user": "graded on", "assistant": "a"}],
        "node_datasets_2024/knowledge_tarn_p10.jsonl": [NODE],
    }
    for name, rows in files.items():
        (folder / name).write_text("\n".join(map(json.dumps, rows)))
    (folder / "skills_recipe_2024.yaml").write_text("datasets: []\n")
    read = read_dataset(find_dataset(folder))
    assert [contents(sample.messages)[-2:] for sample in read] == [
        ["Name the ferry.", "The Plover."],
        ["Name the ferry.", "The Plover."],
        ["u", "a"],
    ]
    assert read.samples[0].messages[0].content == "You are a cautious assistant."
    assert read.skipped == {"pretraining text, which has no turns": 1}
    tested = read_dataset(find_dataset(folder, split="test"))
    assert [sample.messages[1].content for sample in tested] == ["graded on"]
    assert len(read_dataset(find_dataset(folder / "node_datasets_2024"))) == 1


def test_a_function_of_one_s_own_is_an_adapter(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": "b"}\n')

    def mine(row: Mapping[str, Any], where: str) -> tuple[Message, ...]:
        return (Message("user", where.rpartition("/")[2]), Message("assistant", row["a"]))

    assert contents(read_dataset(find_dataset(path, adapter=mine)).samples[0].messages) == [
        "rows.jsonl:1",
        "b",
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    "messages inputs targets source target instruction input output intent rewritten_intent snippet question "
    "answer paragraphs answerable response context document system user assistant text role content".split()
)
ROWS = st.dictionaries(KEYS | st.text(max_size=4), JSON, max_size=6)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "pretraining"]), "content": JSON}
    ),
    max_size=3,
)


@settings(deadline=None, max_examples=300)
@given(ROWS | st.fixed_dictionaries({"messages": MESSAGES, "context": JSON}), st.text(max_size=6))
def test_random_rows_are_read_skipped_or_refused_in_words(row: dict[str, Any], column: str) -> None:
    recognised([row])
    mapped = by_columns({"user": column or "a", "assistant": "answer", "context": "context.0.a"})
    for adapter in (*ADAPTERS.values(), mapped):
        said: tuple[Message, ...] | Skip | None = None
        with suppress(DatasetError):
            said = adapter(row, "x:1")
        if said is None:
            with pytest.raises(DatasetError, match=r"^x:1: "):
                adapter(row, "x:1")
            continue
        if isinstance(said, Skip):
            assert said.reason
        else:
            assert said[-1].role == "assistant"
            assert all(message.content.strip() for message in said)


def test_the_names_are_those_of_the_table() -> None:
    assert list(ADAPTER_NAMES) == ["auto", *ADAPTERS, "columns"]
