from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feldspar.errors import DatasetError, RecipeError
from feldspar.mix import datasets
from feldspar.mix.adapters import Skip
from feldspar.mix.datasets import Dataset, licence_said, questions_of, read_dataset
from feldspar.mix.rows import messages_from
from feldspar.mix.sampling import Lowest, Seen, chosen, rank
from feldspar.mix.sources import dataset_digest, find_dataset
from feldspar.types import Message

GOOD = {"messages": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]}


def row(number: int) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": f"What is twice {number}?"},
            {"role": "assistant", "content": f"{2 * number}"},
        ]
    }


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
    samples = read_dataset(written(tmp_path, GOOD, "", system), licence="MIT").samples
    assert [sample.id for sample in samples] == ["foundational_skills/sums#1", "foundational_skills/sums#3"]
    assert [m.role for m in samples[1].messages] == ["system", "user", "assistant", "user", "assistant"]
    assert samples[0].branch == "foundational_skills"
    origin = samples[1].origin
    # The file's name alone: where it lay on this machine is no one's business.
    assert (origin.kind, origin.name, origin.licence) == ("dataset", "sums.jsonl:3", "MIT")


def test_a_byte_order_mark_and_other_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [json.dumps(row(n) | {"note": "a\u2028b"}, ensure_ascii=False) for n in (1, 2)]
    path.write_bytes(b"\xef\xbb\xbf" + f"{lines[0]}\r\n{lines[1]}\r\n".encode())
    assert [sample.id[-2:] for sample in read_dataset(path)] == ["#1", "#2"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ("[" * 100_000, "not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "4,300 digits"),
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
    with pytest.raises(DatasetError, match="there is no such file"):
        read_dataset(tmp_path / "none.jsonl")
    with pytest.raises(DatasetError, match="no rows"):
        read_dataset(written(tmp_path, "", "  "))
    (tmp_path / "latin.jsonl").write_bytes(b'{"messages": "caf\xe9"}\n')
    with pytest.raises(DatasetError, match="UTF-8"):
        read_dataset(tmp_path / "latin.jsonl")
    with pytest.raises(RecipeError, match="`alpaca` is not an adapter"):
        find_dataset(written(tmp_path, GOOD), adapter="alpaca")
    with pytest.raises(RecipeError, match="cap"):
        read_dataset(written(tmp_path, GOOD), cap=-1)
    with pytest.raises(RecipeError, match="held out"):
        read_dataset(written(tmp_path, GOOD), holdout=-1)


def test_a_cap_chooses_by_the_seed_and_keeps_the_order(tmp_path: Path) -> None:
    path = written(tmp_path, *map(row, range(50)))
    choices = [[sample.id for sample in read_dataset(path, cap=10, seed=seed)] for seed in (1, 1, 2)]
    assert choices[0] == choices[1] != choices[2]
    assert len(set(choices[0])) == 10
    assert choices[0] == sorted(choices[0], key=lambda one: int(one.split("#")[1]))
    assert len(read_dataset(path, cap=50)) == len(read_dataset(path, cap=99)) == 50
    # A larger cap adds rows; it does not exchange them.
    assert set(choices[0]) <= {sample.id for sample in read_dataset(path, cap=20, seed=1)}


def test_the_draw_of_a_stream_is_that_of_the_whole(tmp_path: Path) -> None:
    """What earlier recipes drew is drawn still: a seed's rows are `chosen`'s."""
    path = written(tmp_path, *map(row, range(200)))
    for seed, cap in ((0, 1), (7, 20), (8, 199), (9, 0)):
        places = chosen(200, cap, seed, "foundational_skills/sums")
        assert [sample.id for sample in read_dataset(path, cap=cap, seed=seed)] == [
            f"foundational_skills/sums#{place + 1}" for place in places
        ]


def test_held_out_rows_are_drawn_by_the_seed_whatever_the_cap(tmp_path: Path) -> None:
    path = written(tmp_path, *map(row, range(60)))
    whole = read_dataset(path, holdout=6, seed=3)
    assert len(whole.held) == 6
    assert len(whole) == 54
    assert {sample.id for sample in whole.held}.isdisjoint(sample.id for sample in whole)
    for cap in (1, 10, 53, 54, 70):
        read = read_dataset(path, cap=cap, holdout=6, seed=3)
        assert read.held == whole.held
        assert len(read) == min(cap, 54)
        assert set(read.samples) <= set(whole.samples)
        assert sum(read.skipped.values()) == 54 - len(read)
    assert read_dataset(path, holdout=6, seed=4).held != whole.held
    with pytest.raises(DatasetError, match="all its 60 rows are held out"):
        read_dataset(path, holdout=60)


def test_held_out_rows_become_questions(tmp_path: Path) -> None:
    talk = {"messages": [{"role": "system", "content": "Be brief."}, *GOOD["messages"], *row(9)["messages"]]}
    read = read_dataset(written(tmp_path, talk, *map(row, range(3))), holdout=3, name="own/sums")
    asked = questions_of(read)
    assert [question.id for question in asked] == [sample.id for sample in read.held]
    assert {question.group for question in asked} == {"own/sums"}
    everything = {
        (question.question, question.answer)
        for seed in range(8)
        for question in questions_of(read_dataset(written(tmp_path, talk, row(1)), holdout=1, seed=seed))
    }
    # Of several turns, the first.
    assert everything == {("2 + 2?", "4"), ("What is twice 1?", "2")}


def test_rows_that_stand_there_twice_are_taken_once_and_counted(tmp_path: Path) -> None:
    spaced = {"messages": [{"role": "user", "content": "2 + 2? "}, GOOD["messages"][1]]}
    read = read_dataset(written(tmp_path, GOOD, GOOD | {"id": 3}, spaced, GOOD))
    assert [sample.id[-2:] for sample in read] == ["#1", "#3"]
    assert read.skipped == {"the same as an earlier row": 2}
    assert read.rows == 4


def test_what_is_skipped_is_counted_by_its_reason(tmp_path: Path) -> None:
    def even(data: Mapping[str, Any], where: str) -> tuple[Message, ...] | Skip:
        return messages_from(data["messages"], where) if data["n"] % 2 == 0 else Skip("odd")

    path = written(tmp_path, *({"n": n, **row(n)} for n in (0, 1, 2, 2, 3, 4)))
    read = read_dataset(find_dataset(path, adapter=even), cap=2)
    assert read.skipped == {"beyond the cap of 2": 1, "odd": 2, "the same as an earlier row": 1}
    with pytest.raises(DatasetError, match="none of its 2 rows can be trained on: 2 odd"):
        read_dataset(find_dataset(written(tmp_path, {"n": 1}, {"n": 3}), adapter=even))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    numbers=st.lists(st.integers(0, 12), min_size=1, max_size=30),
    cap=st.none() | st.integers(0, 12),
    holdout=st.integers(0, 5),
    seed=st.integers(0, 3),
)
def test_every_row_is_accounted_for(
    tmp_path: Path, numbers: list[int], cap: int | None, holdout: int, seed: int
) -> None:
    path = written(tmp_path, *map(row, numbers))
    if holdout >= len(set(numbers)):
        with pytest.raises(DatasetError, match="held out"):
            read_dataset(path, cap=cap, holdout=holdout, seed=seed)
        return
    read = read_dataset(path, cap=cap, holdout=holdout, seed=seed)
    assert len(read) + len(read.held) + sum(read.skipped.values()) == read.rows == len(numbers)
    said = [sample.messages for sample in (*read.samples, *read.held)]
    assert len(said) == len(set(said))
    assert len(read.held) == holdout


def test_a_folder_s_files_are_one_dataset_wherever_its_rows_are_cut(tmp_path: Path) -> None:
    """The same rows in one file or in three give the same samples, but for the file that they name."""
    drawn: list[Dataset] = []
    for cuts in ((0, 40), (0, 7, 8, 40)):
        folder = tmp_path / str(len(cuts)) / "sums"
        folder.mkdir(parents=True)
        for part, (start, end) in enumerate(pairwise(cuts)):
            (folder / f"train-{part}.jsonl").write_text(
                "".join(json.dumps(row(n)) + "\n" for n in range(start, end))
            )
        drawn.append(read_dataset(find_dataset(folder), cap=12, holdout=4, seed=5))
    one, three = drawn
    assert [(s.id, s.messages) for s in one] == [(s.id, s.messages) for s in three]
    assert [s.id for s in one.held] == [s.id for s in three.held]
    assert {s.origin.name.partition(":")[0] for s in three} == {f"sums/train-{part}.jsonl" for part in (0, 2)}


def test_a_licence_has_to_be_said_by_somebody(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    with pytest.raises(DatasetError, match="licence is said neither") as caught:
        licence_said(find_dataset(path), " ", "sums.jsonl")
    assert "licence: …" in caught.value.mend
    assert licence_said(find_dataset(path), "MIT", "sums.jsonl") == "MIT"
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-sa-4.0\n---\n# Sums\n")
    source = find_dataset(tmp_path)
    assert licence_said(source, "", "sums") == "cc-by-sa-4.0"
    assert read_dataset(source).samples[0].origin.licence == "cc-by-sa-4.0"
    assert read_dataset(source, licence="MIT").licence == "MIT"


def test_a_digest_knows_the_files_content_and_names(tmp_path: Path) -> None:
    import hashlib

    path = written(tmp_path, GOOD)
    single = dataset_digest(find_dataset(path))
    assert single == hashlib.sha256(path.read_bytes()).hexdigest()
    folder = tmp_path / "many"
    folder.mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        (folder / name).write_bytes(path.read_bytes())
    before = dataset_digest(find_dataset(folder))
    (folder / "b.jsonl").rename(folder / "c.jsonl")
    after = dataset_digest(find_dataset(folder))
    (folder / "c.jsonl").write_text(json.dumps(row(1)))
    assert len({single, before, after, dataset_digest(find_dataset(folder))}) == 4


def test_what_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, *map(row, range(100)))
    monkeypatch.setattr(datasets, "MOST_TEXT", 1000)
    with pytest.raises(DatasetError, match="kept in memory") as caught:
        read_dataset(path)
    assert "cap" in caught.value.mend
    assert len(read_dataset(path, cap=20)) == 20


def test_memory_does_not_grow_with_a_file_that_is_capped(tmp_path: Path) -> None:
    """100 MB of rows with a cap take no more than 5 MB of them do."""
    program = f"""
import json, resource, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2] / "src")!r})
from feldspar.mix.datasets import read_dataset
read = read_dataset(Path(sys.argv[1]), cap=100, holdout=10)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(read), len(read.held), read.rows)
"""
    peaks = []
    for count in (500, 10_000):
        path = tmp_path / f"{count}.jsonl"
        with path.open("w") as file:
            for n in range(count):
                file.write(json.dumps(row(n) | {"filler": "x" * 10_000}) + "\n")
        done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peak, kept, held, rows = map(int, done.stdout.split())
        assert (kept, held, rows) == (100, 10, count)
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 10_000, "KiB"


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_digests_are_told_apart(digests: list[int]) -> None:
    seen = Seen()
    assert [seen.add(digest) for digest in digests] == [
        digest not in digests[:place] for place, digest in enumerate(digests)
    ]


@given(st.integers(0, 40), st.none() | st.integers(0, 12))
def test_the_lowest_are_kept(count: int, most: int | None) -> None:
    kept = Lowest[str](most)
    for place in range(count):
        at = rank(1, "a", place)
        if kept.wants(at, place):
            kept.offer(at, place, place, str(place))
    order = sorted(range(count), key=lambda place: rank(1, "a", place))[:most]
    assert [item for *_, item in kept.items()] == [str(place) for place in order]
    assert kept.size == sum(order)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    data=st.binary(max_size=80) | st.text(alphabet='{}[]":,messagrolcontuid \n', max_size=80).map(str.encode)
)
def test_random_bytes_are_refused_in_words(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "wild.jsonl"
    path.write_bytes(data)
    with pytest.raises(DatasetError):
        read_dataset(path)
