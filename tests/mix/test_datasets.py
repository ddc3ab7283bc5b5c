from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feldspar.errors import DatasetError, RecipeError
from feldspar.mix import read_dataset

GOOD = {"messages": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]}


def written(folder: Path, *rows: object) -> Path:
    path = folder / "sums.jsonl"
    path.write_text(
        "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n", "utf-8"
    )
    return path


def test_rows_become_samples_that_say_where_they_are_from(tmp_path: Path) -> None:
    system = {
        "messages": [{"role": "system", "content": "Be brief."}, *GOOD["messages"], *GOOD["messages"]],
        "id": 7,
    }
    samples = read_dataset(written(tmp_path, GOOD, "", system), licence="MIT")
    assert [sample.id for sample in samples] == ["foundational_skills/sums#1", "foundational_skills/sums#3"]
    assert [m.role for m in samples[1].messages] == ["system", "user", "assistant", "user", "assistant"]
    assert samples[0].branch == "foundational_skills"
    origin = samples[1].origin
    # The file's name alone: where it lay on this machine is no one's business.
    assert (origin.kind, origin.name, origin.licence) == ("dataset", "sums.jsonl:3", "MIT")


def test_a_byte_order_mark_and_other_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    line = json.dumps(GOOD | {"note": "a\u2028b"}, ensure_ascii=False)
    path.write_bytes(b"\xef\xbb\xbf" + f"{line}\r\n{line}\r\n".encode())
    assert [sample.id[-2:] for sample in read_dataset(path)] == ["#1", "#2"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ("[" * 100_000, "not JSON"),
        ({"conversations": []}, "no list of messages"),
        ({"messages": []}, "no list of messages"),
        ({"messages": ["hello"]}, "message 1 is not an object"),
        ({"messages": [{"role": "user", "content": "a"}]}, "last message"),
        ({"messages": [{"role": "system", "content": "a"}]}, "last message"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "message 1 is of the assistant"),
        (
            {"messages": [*GOOD["messages"], {"role": "assistant", "content": "a"}]},
            "message 3 is of the assistant",
        ),
        ({"messages": [*GOOD["messages"], {"role": "system", "content": "a"}]}, "message 3 is of the system"),
        ({"messages": [{"role": "human", "content": "a"}]}, "role 'human'"),
        ({"messages": [{"role": ["user"], "content": "a"}]}, "role"),
        ({"messages": [{"role": "user", "content": 3}]}, "not a string"),
        ({"messages": [{"role": "user", "content": " \n"}]}, "is empty"),
        ({"messages": [{"role": "user", "content": "a\ud800"}]}, "half a character"),
        ({"messages": [{"role": "user", "content": "a", "tool_calls": [1]}]}, "`tool_calls`"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, row: object, words: str) -> None:
    path = written(tmp_path, GOOD, row, GOOD)
    # A cap does not hide it.
    with pytest.raises(DatasetError) as caught:
        read_dataset(path, cap=1)
    assert words in caught.value.what
    assert f"{path}:2" in caught.value.what
    assert caught.value.mend


def test_files_that_are_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        read_dataset(tmp_path / "none.jsonl")
    with pytest.raises(DatasetError, match="no rows"):
        read_dataset(written(tmp_path, "", "  "))
    (tmp_path / "latin.jsonl").write_bytes(b'{"messages": "caf\xe9"}\n')
    with pytest.raises(DatasetError, match="UTF-8"):
        read_dataset(tmp_path / "latin.jsonl")
    with pytest.raises(RecipeError, match="`sharegpt` is not an adapter"):
        read_dataset(written(tmp_path, GOOD), adapter="sharegpt")
    with pytest.raises(RecipeError, match="cap"):
        read_dataset(written(tmp_path, GOOD), cap=-1)


def test_a_cap_chooses_by_the_seed_and_keeps_the_order(tmp_path: Path) -> None:
    path = written(tmp_path, *([GOOD] * 50))
    choices = [[sample.id for sample in read_dataset(path, cap=10, seed=seed)] for seed in (1, 1, 2)]
    assert choices[0] == choices[1] != choices[2]
    assert len(set(choices[0])) == 10
    assert choices[0] == sorted(choices[0], key=lambda one: int(one.split("#")[1]))
    assert len(read_dataset(path, cap=50)) == len(read_dataset(path, cap=99)) == 50
    # A larger cap adds rows; it does not exchange them.
    assert set(choices[0]) <= {sample.id for sample in read_dataset(path, cap=20, seed=1)}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    data=st.binary(max_size=80) | st.text(alphabet='{}[]":,messagrolcontuid \n', max_size=80).map(str.encode)
)
def test_random_bytes_are_refused_in_words(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "wild.jsonl"
    path.write_bytes(data)
    with pytest.raises(DatasetError):
        read_dataset(path)
