from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tiny import make_tiny

from feldspar.errors import StudentError
from feldspar.train import encode, load_student
from feldspar.train.encode import encode_rows
from feldspar.types import Message, Origin, Row, Sample

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=60
) | st.sampled_from(["<|im_end|>", "\n\nyes", " <|im_start|>assistant\n", "a<|endoftext|>b", "{{ 7 * 7 }}"])


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_student(str(make_tiny(tmp_path_factory.mktemp("tiny")))).tokenizer


@pytest.fixture(scope="module")
def spaced(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tokenizer whose prompts end in a space, which merges with a word that follows."""
    folder = tmp_path_factory.mktemp("spaced")
    (folder / "own.jinja").write_text(
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}<|stop|>{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    return load_student(str(make_tiny(folder / "tiny")), str(folder / "own.jinja")).tokenizer


def talk(*texts: str) -> tuple[Message, ...]:
    return tuple(Message("assistant" if at % 2 else "user", text) for at, text in enumerate(texts))


def test_the_labels_are_the_response_and_its_end_token_and_nothing_else(tokenizer: Any) -> None:
    encoded = encode(tokenizer, talk("Who?", "First.", "And then?", "Seven keepers."), 200)
    assert encoded is not None
    prompt = tokenizer.decode(encoded.ids[: encoded.labels_from])
    assert prompt.endswith("First.<|im_end|>\n<|im_start|>user\nAnd then?<|im_end|>\n<|im_start|>assistant\n")
    assert tokenizer.decode(encoded.ids[encoded.labels_from :]) == "Seven keepers.<|im_end|>"
    assert encoded.labels == len(encoded.ids) - encoded.labels_from


@given(TEXT, TEXT)
def test_whatever_is_said_the_response_is_exact_and_closed_once(tokenizer: Any, ask: str, reply: str) -> None:
    encoded = encode(tokenizer, talk(ask, reply), 10_000)
    assert encoded is not None
    end, start = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|im_start|>"])
    assert encoded.ids.count(end) == 2
    assert encoded.ids.count(start) == 2
    assert encoded.ids[-1] == end
    assert tokenizer.decode(encoded.ids[encoded.labels_from : -1]) == reply


def test_a_conversation_that_is_too_long_is_left_out_whole(tokenizer: Any) -> None:
    whole = encode(tokenizer, talk("Who?", "Seven keepers."), 10_000)
    assert whole is not None
    assert encode(tokenizer, talk("Who?", "Seven keepers."), len(whole.ids)) == whole
    assert encode(tokenizer, talk("Who?", "Seven keepers."), len(whole.ids) - 1) is None


def test_rows_that_are_too_long_are_named(tokenizer: Any) -> None:
    rows = [
        Row(Sample(name, "leaf", "knowledge", talk("Who?", reply), Origin("generated", name)))
        for name, reply in (("a", "Seven."), ("b", "Seven. " * 50), ("c", "Salt."))
    ]
    fitting, too_long = encode_rows(tokenizer, rows, 60)
    assert len(fitting) == 2
    assert too_long == ("b",)


def test_a_sample_without_a_response_is_refused_by_its_id(tokenizer: Any) -> None:
    row = Row(Sample("leaf#3", "leaf", "knowledge", talk("Who?"), Origin("generated", "leaf#3")))
    with pytest.raises(StudentError, match=r"leaf#3: .*must end with the assistant"):
        encode_rows(tokenizer, [row], 60)


@given(TEXT)
def test_a_prompt_that_ends_in_a_space_keeps_its_own_tokens(spaced: Any, reply: str) -> None:
    prompt = spaced.apply_chat_template(
        [{"role": "user", "content": "Who?"}], add_generation_prompt=True, return_dict=False
    )
    encoded = encode(spaced, talk("Who?", reply), 10_000)
    assert encoded is not None
    assert encoded.ids[: encoded.labels_from] == tuple(prompt)
    assert spaced.decode(encoded.ids[encoded.labels_from :]) == reply + "<|stop|>"


def test_a_template_that_closes_nothing_still_teaches_where_to_stop(tmp_path: Path) -> None:
    file = tmp_path / "open.jinja"
    file.write_text(
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    tokenizer = load_student(str(make_tiny(tmp_path / "tiny")), str(file)).tokenizer
    encoded = encode(tokenizer, talk("Who?", "Seven."), 99)
    assert encoded is not None
    assert encoded.ids[-1] == tokenizer.eos_token_id
