from __future__ import annotations

import datetime
import decimal
import gzip
import importlib
import json
import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feldspar.errors import DatasetError
from feldspar.mix import tables
from feldspar.mix.cards import Card, choose, matches, read_card, split_of
from feldspar.mix.datasets import read_dataset
from feldspar.mix.sources import find_dataset
from feldspar.mix.tables import rows_of

ROWS = [{"instruction": f"What is {n}?", "output": f"{n} “is” {n}\n"} for n in range(40)]


def parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    arrow: Any = importlib.import_module("pyarrow")
    writer: Any = importlib.import_module("pyarrow.parquet")
    writer.write_table(columns if isinstance(columns, arrow.Table) else arrow.table(columns), path, **options)
    return path


def column(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {key: [row[key] for row in rows] for key in rows[0]}


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(path: Path) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        list(rows_of(path))
    assert caught.value.mend
    return caught.value


LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    "kind", ["jsonl", "ndjson", "json list", "json lines", "indented", "jsonl.gz", "json.gz", "parquet"]
)
def test_the_same_rows_come_from_every_form(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{'json' if kind in ('json list', 'json lines', 'indented') else kind}"
    if kind == "parquet":
        parquet(path, column(ROWS), row_group_size=7)
    elif kind.startswith("json.") or kind in ("json list", "indented"):
        text = json.dumps(ROWS, indent=2 if kind == "indented" else None, ensure_ascii=False)
        path.write_bytes(
            gzip.compress(text.encode()) if kind.endswith("gz") else b"\xef\xbb\xbf" + text.encode()
        )
    else:
        path.write_bytes(gzip.compress(LINES.encode()) if kind.endswith("gz") else LINES.encode())
    found = list(rows_of(path))
    assert [row.data for row in found] == ROWS
    assert [row.number for row in found] == list(range(1, 41))
    read = read_dataset(find_dataset(path), cap=5)
    assert read.name == "rows"
    assert len(read) == 5


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)
@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.text(max_size=30) | st.floats() | st.lists(st.integers()))
    ),
    st.integers(1, 40),
    st.sampled_from([None, 1]),
)
def test_a_list_is_read_the_same_whatever_the_chunks(
    tmp_path: Path, rows: list[dict[str, Any]], chunk: int, indent: int | None
) -> None:
    path = write(tmp_path / "rows.json", json.dumps(rows, indent=indent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_CHUNK", chunk)
        found = [row.data for row in rows_of(path)]
    assert found == json.loads(path.read_text(), parse_constant=lambda _: None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"a": 1}, 2]', "row 2: it is not a JSON object"),
        ('[{"a": 1}, {"b": ]', "row 2: it is not JSON"),
        ('[{"a": 1}', "the list has no end"),
        ('[{"a": 1', "row 1: it is not JSON"),
        ('[{"a": 1},]', "row 2: it is not a JSON object"),
        ('[{"a": 1} {"b": 2}]', "is followed by what is not JSON"),
        ('[{"a": 1}] x', "is followed by what is not JSON"),
        ('[{"a": ' + "[" * 5000, "nested too deep"),
        ('[{"a": "\n"}]', "row 1: it is not JSON"),
        ('[{"a": ' + "9" * 5000 + "}]", "4,300 digits"),
        ('{"train": [\n{"a": 1}\n]}', ":1: the line is not JSON"),
        ('[{"a": "' + "x" * 4_000_100 + '"}]', "row 1: it is longer than 4 MB"),
        ('[{"a": "' + "x" * 9_000_000, "row 1: it is longer than 4 MB"),
    ],
)
def test_a_list_that_is_none_is_named_by_its_row(text: str, words: str, tmp_path: Path) -> None:
    assert words in refusal(write(tmp_path / "rows.json", text)).what


def test_a_row_of_100_mb_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("w") as file:
        file.write('{"a": 1}\n{"a": "')
        for _ in range(100):
            file.write("x" * 1_000_000)
        file.write('"}\n')
    began = time.process_time()
    assert f"{path}:2: the line is longer than 4 MB" in refusal(path).what
    path = path.rename(tmp_path / "rows.json")
    assert ":2: the line is longer" in refusal(path).what
    assert time.process_time() - began < 3


def test_nan_stands_for_nothing(tmp_path: Path) -> None:
    path = write(
        tmp_path / "rows.jsonl", '{"instruction": "a", "output": "b", "prob": NaN, "x": -Infinity}\n'
    )
    assert next(rows_of(path)).data["prob"] is None
    write(path, '{"instruction": "a", "output": "b"}\n{"instruction": "a", "output": NaN}\n')
    assert read_dataset(find_dataset(path)).skipped == {"no answer": 1}


@pytest.mark.parametrize("unpacked", ["\n", json.dumps({"a": "x" * 10_000}) + "\n", "x"])
def test_a_gzip_bomb_ends_early(unpacked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_UNPACKED", 3_000_000)
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(60):
            file.write((unpacked * (1_000_000 // len(unpacked))).encode())
    assert path.stat().st_size < 80_000
    told = refusal(path).what
    assert "unpacks to far more than its" in told or "longer than 4 MB" in told


def test_a_gzip_of_more_rows_than_bytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_ROWS", 1000)
    path = write(tmp_path / "rows.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 900))
    assert len(list(rows_of(path))) == 900
    assert "unpacks to far more" in refusal(write(path, gzip.compress(b'{"a": 1}\n' * 1100))).what


def test_packed_rows_that_are_cut_or_are_not_packed(tmp_path: Path) -> None:
    packed = gzip.compress(random.Random(1).randbytes(5000).hex().encode())
    assert "cut short" in refusal(write(tmp_path / "a.jsonl.gz", packed[:-2000])).what
    assert "it is no gzip file" in refusal(write(tmp_path / "b.jsonl.gz", LINES)).what


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.pkl", "a pickle, which runs code"),
        ("a.PICKLE", "a pickle, which runs code"),
        ("a.pt", "runs code"),
        ("a.bin", "runs code"),
        ("a.arrow", "an Arrow file"),
        ("a.py", "a script, which is never run"),
        ("a.csv", "a table without types"),
        ("a.tar", "an archive"),
        ("a.jsonl.zst", "an archive"),
    ],
)
def test_formats_that_run_code_are_refused_by_name(name: str, words: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, b"\x80\x04cos\nsystem\n(S'touch marker'\ntR.")
    assert words in refusal(path).what
    with pytest.raises(
        DatasetError, match=r"holds no file of rows, but a\..* is |holds no file of rows, but a\."
    ):
        find_dataset(tmp_path)


def test_what_is_no_regular_file_is_never_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "a.jsonl"
    os.mkfifo(pipe)
    assert "no regular file" in refusal(pipe).what
    assert "no regular file" in refusal(Path("/dev/zero")).what
    assert "cannot be read" in refusal(tmp_path / "none.jsonl").what


# Parquet.


def test_parquet_of_odd_types_becomes_plain_values(tmp_path: Path) -> None:
    arrow: Any = importlib.import_module("pyarrow")
    columns = {
        "bytes": arrow.array([b"caf\xc3\xa9"], arrow.binary()),
        "raw": arrow.array([b"\xff\xfe"], arrow.binary()),
        "when": arrow.array([datetime.datetime(2024, 1, 2)]),
        "price": arrow.array([decimal.Decimal("1.50")]),
        "map": arrow.array([[("a", 1)]], arrow.map_(arrow.string(), arrow.int32())),
        "list": arrow.array([[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]]),
        "nan": arrow.array([float("nan")]),
        "large": arrow.array([2**63], arrow.uint64()),
        "dictionary": arrow.array(["x"]).dictionary_encode(),
        "nothing": arrow.array([None]),
    }
    path = parquet(tmp_path / "rows.parquet", columns)
    row = next(rows_of(path)).data
    assert row == {
        "bytes": "café",
        "raw": {"bytes": 2},
        "when": "2024-01-02 00:00:00",
        "price": "1.50",
        "map": [["a", 1]],
        "list": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
        "nan": None,
        "large": 2**63,
        "dictionary": "x",
        "nothing": None,
    }
    with pytest.raises(DatasetError, match="row 1: `raw` is an object"):
        read_dataset(find_dataset(path, adapter="columns", columns={"user": "bytes", "assistant": "raw"}))


def test_messages_in_parquet_stay_conversations(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * 2
    path = parquet(tmp_path / "rows.parquet", {"messages": [said], "n": [1]})
    assert [message.content for message in read_dataset(find_dataset(path)).samples[0].messages] == [*"abab"]


def test_a_bad_row_of_parquet_is_named_by_its_number(tmp_path: Path) -> None:
    path = parquet(tmp_path / "rows.parquet", {"intent": ["a", "b"], "snippet": [["x"], ["y"]]})
    with pytest.raises(DatasetError) as caught:
        read_dataset(find_dataset(path))
    assert caught.value.what.startswith(f"{path}: row 1: `snippet` is a list")


@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "empty", "footer"])
def test_damaged_parquet_is_refused_in_words(damage: str, tmp_path: Path) -> None:
    data = bytearray(parquet(tmp_path / "rows.parquet", column(ROWS * 50)).read_bytes())
    die = random.Random(2)
    if damage == "flipped":
        for _ in range(40):
            data[die.randrange(4, len(data) - 8)] ^= 1 << die.randrange(8)
    made = {
        "cut": data[: len(data) // 2],
        "flipped": data,
        "text": b"PAR1 is no more",
        "empty": b"",
        "footer": data[:-8] + b"\xff\xff\xff\x7fPAR1",
    }[damage]
    told = refusal(write(tmp_path / "bad.parquet", bytes(made))).what
    assert "bad.parquet: it cannot be read as Parquet" in told or "gave up after row" in told


@pytest.mark.parametrize(
    ("rows", "longest", "words"),
    [
        # Kilobytes that stand for 1.5 TB, and a batch that stands for 3.2 GB.
        (500_000, 3_000_000, "unpacks to far more than its size"),
        (100, 100_000_000, "more than 2 GB of memory"),
    ],
)
def test_a_parquet_bomb_ends_within_bounds(rows: int, longest: int, words: str, tmp_path: Path) -> None:
    arrow: Any = importlib.import_module("pyarrow")
    texts = arrow.DictionaryArray.from_arrays(
        arrow.array([0] * rows, arrow.int32()), arrow.array(["x" * longest])
    )
    path = parquet(tmp_path / "rows.parquet", {"a": texts}, compression="zstd")
    assert path.stat().st_size < 100_000
    program = (
        "import resource, sys, time\nfrom pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2] / 'src')!r})\n"
        "from feldspar.mix import tables\ntables._UNPACKED = 50_000_000\n"
        "try:\n    list(tables.rows_of(Path(sys.argv[1])))\n"
        "except tables.DatasetError as error:\n    print(error.what)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True)
    told, peak = done.stdout.splitlines()
    assert words in told
    assert int(peak) < 2 * 1024 * 1024, "KiB"


def test_many_rows_of_nothing_are_refused(tmp_path: Path) -> None:
    arrow: Any = importlib.import_module("pyarrow")
    path = parquet(tmp_path / "rows.parquet", {"a": arrow.nulls(2_000_000, arrow.string())})
    assert "2000000 rows in so few bytes" in refusal(path).what


def test_a_row_of_parquet_that_is_too_long_is_named(tmp_path: Path) -> None:
    path = parquet(tmp_path / "rows.parquet", {"a": ["x", "y" * 5_000_000]})
    assert f"{path}: row 2: it is longer than 4 MB" in refusal(path).what


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    arrow: Any = importlib.import_module("pyarrow")
    table = arrow.Table.from_arrays([arrow.array(["x"]), arrow.array(["y"])], names=["a", "a"])
    assert "two columns are called a" in refusal(parquet(tmp_path / "rows.parquet", table)).what


def test_without_pyarrow_the_error_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(tmp_path / "rows.parquet", column(ROWS))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    error = refusal(path)
    assert "needs pyarrow" in error.what
    assert error.mend == 'Run: pip install "feldspar[datasets]"'


def test_no_child_is_left_behind(tmp_path: Path) -> None:
    path = parquet(tmp_path / "rows.parquet", {"a": [str(n) * 1000 for n in range(5000)]})
    rows = rows_of(path)
    next(rows)
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    assert not children.exists() or children.read_text().split()
    rows.close()
    assert not children.exists() or not children.read_text().split()


# Which files.


CONFIGS = """---
license: mit
dataset_info: &x
  features: [1, 2]
configs:
- config_name: curated
  data_files:
  - split: train
    path: [data/a-*.jsonl, "data/b.json"]
  - split: test
    path: data/test/**
- config_name: mined
  default: true
  data_files: mined/*.parquet
- config_name: other
  data_dir: other
tags: [a]
---
# Text
---
"""
NAMES = (
    ".gitattributes README.md data/a-1.jsonl data/a-2.jsonl data/b.json data/c.jsonl data/test/x/y.jsonl "
    "mined/1.parquet mined/deep/2.parquet other/train.jsonl other/dev.jsonl load.py"
).split()


@pytest.mark.parametrize(
    ("config", "split", "files"),
    [
        ("curated", "train", "data/a-1.jsonl data/a-2.jsonl data/b.json"),
        ("curated", "test", "data/test/x/y.jsonl"),
        ("", "train", "mined/1.parquet"),
        ("mined", "train", "mined/1.parquet"),
        ("other", "train", "other/train.jsonl"),
        ("other", "validation", "other/dev.jsonl"),
    ],
)
def test_a_card_s_configurations_name_the_files(config: str, split: str, files: str) -> None:
    card = read_card(CONFIGS, "x")
    assert card.licence == "mit"
    assert choose(NAMES, card, config, split, "x") == tuple(files.split())


@pytest.mark.parametrize(
    ("names", "config", "split", "files"),
    [
        # As they are laid out on the hub.
        ("MathInstruct.json README.md", "", "train", "MathInstruct.json"),
        (
            "conala.py data/conala-mined.json data/conala-paired-test.json data/conala-paired-train.json",
            "",
            "train",
            "data/conala-paired-train.json",
        ),
        (
            "conala.py data/conala-mined.json data/conala-paired-train.json",
            "mined",
            "train",
            "data/conala-mined.json",
        ),
        (
            "musique_ans_v1.0_dev.jsonl musique_ans_v1.0_train.jsonl",
            "",
            "train",
            "musique_ans_v1.0_train.jsonl",
        ),
        (
            "musique_ans_v1.0_dev.jsonl musique_ans_v1.0_train.jsonl",
            "",
            "validation",
            "musique_ans_v1.0_dev.jsonl",
        ),
        (
            "cot_fsopt_data/part.0.parquet cot_zsopt_data/part.0.parquet cot_zs_submix_data.json",
            "cot_zsopt_data",
            "train",
            "cot_zsopt_data/part.0.parquet",
        ),
        (
            "test/anli_r1_10templates_test.jsonl train/anli_r1_10templates_train.jsonl",
            "",
            "train",
            "train/anli_r1_10templates_train.jsonl",
        ),
        (
            "data/train_sft-00000-of-00002-ab.parquet data/test-00000-of-00001.parquet dataset_infos.json",
            "",
            "train_sft",
            "data/train_sft-00000-of-00002-ab.parquet",
        ),
        (".cache/a.jsonl __x__/b.jsonl c.jsonl", "", "train", "c.jsonl"),
    ],
)
def test_names_tell_the_split_where_no_card_does(names: str, config: str, split: str, files: str) -> None:
    assert choose(names.split(), Card(), config, split, "x") == tuple(files.split())


@pytest.mark.parametrize(
    ("card", "names", "config", "split", "words"),
    [
        (
            CONFIGS,
            "a.jsonl",
            "curatd",
            "train",
            "no configuration `curatd`|config: one of curated, mined, other.",
        ),
        (CONFIGS, "a.jsonl", "curated", "dev", "no split `dev`|split: one of train, test."),
        (
            CONFIGS,
            "a.jsonl",
            "curated",
            "train",
            "its card names data/a-*.jsonl, data/b.json, and no file is",
        ),
        ("", "train.jsonl test.jsonl", "", "dev", "no split `dev`|split: one of test, train."),
        ("", "a/x.jsonl b/y.jsonl", "c", "train", "no configuration `c`|config: one of a, b."),
        (
            "",
            "load.py README.md",
            "",
            "train",
            "but load.py, a script, which is never run|refs/convert/parquet",
        ),
        ("", "data-00000-of-00001.arrow state.json", "", "train", "an Arrow file|"),
        ("", "README.md", "", "train", "it holds no file of rows|.jsonl"),
        (
            "---\nconfigs: [{config_name: a}, {config_name: b}]\n---\n",
            "a.jsonl",
            "",
            "train",
            "no default among its 2 configurations|config: one of a, b.",
        ),
        (
            "---\nconfigs: [{data_files: a.csv}]\n---\n",
            "a.csv",
            "",
            "train",
            "but a.csv, a table without types|",
        ),
    ],
)
def test_what_is_not_there_is_named_with_what_is(
    card: str, names: str, config: str, split: str, words: str
) -> None:
    with pytest.raises(DatasetError) as caught:
        choose(names.split(), read_card(card, "x"), config, split, "x")
    what, _, mend = words.partition("|")
    assert what in caught.value.what
    assert mend in caught.value.mend


@pytest.mark.parametrize(
    "pattern",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "~/x.jsonl",
        "hf://datasets/a/b/*",
        "https://h/x.jsonl",
        "a/../../b",
        "C:\\x",
    ],
)
def test_a_card_that_names_files_outside_is_refused(pattern: str, tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", LINES)
    for files in ([{"split": "train", "path": pattern}], pattern, {"train": [pattern]}):
        card = f"---\nconfigs:\n- config_name: default\n  data_files: {json.dumps(files)}\n---\n"
        write(tmp_path / "README.md", card)
        with pytest.raises(DatasetError, match="which is outside the dataset"):
            find_dataset(tmp_path)
    write(tmp_path / "README.md", f"---\nconfigs:\n- data_dir: {json.dumps(pattern)}\n---\n")
    with pytest.raises(DatasetError, match="which is outside the dataset"):
        find_dataset(tmp_path)


def test_links_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.jsonl", LINES)
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "a.jsonl").symlink_to(secret)
    with pytest.raises(DatasetError, match=r"a\.jsonl: it leads out of the dataset"):
        find_dataset(folder)
    (folder / "a.jsonl").unlink()
    (folder / "a.jsonl").symlink_to(folder / "a.jsonl")
    with pytest.raises(DatasetError, match="leads nowhere"):
        find_dataset(folder)
    (folder / "a.jsonl").unlink()
    (folder / "below").symlink_to(folder)
    (folder / "b.jsonl").symlink_to(write(folder / "kept" / "real.jsonl", LINES))
    assert len(read_dataset(find_dataset(folder, config="b"))) == 40
    (folder / "README.md").symlink_to(secret)
    with pytest.raises(DatasetError, match=r"README\.md: it leads out"):
        find_dataset(folder)


BOMB = "---\nlicense: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"configs{n}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    "card",
    [
        "---\nlicense: [\n---\n",
        "---\nconfigs: *nothing\n---\n",
        "---\nconfigs: " + "[" * 5000 + "\n---\n",
        "---\nconfigs:\n- 7\n---\n",
        "---\nconfigs:\n" + "- config_name: a\n" * 20_000 + "---\n",
        "---\nlicense: mit\nconfigs:\n- data_files: " + "a/" * 40 + "\n---\n",
    ],
)
def test_an_odd_card_is_refused_in_words(card: str) -> None:
    began = time.process_time()
    with pytest.raises(DatasetError):
        read_card(card, "x")
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("", ""),
        ("# Title\n---\nlicense: mit\n---\n", ""),
        ("---\nlicense: mit\n---\n", "mit"),
        ("---\r\nlicense: apache-2.0\r\n---\r\n", "apache-2.0"),
        ("---\nlicense:\n- mit\n- cc-by-4.0\n---\n", "mit AND cc-by-4.0"),
        ("---\nlicense: odc-by\n---\n", "ODC-By-1.0"),
        ("---\nlicense: other\nlicense_name: someones-own\n---\n", "someones-own"),
        ("---\nlicense: other\n---\n", ""),
        ("---\nlicense: unknown\n---\n", ""),
        ("---\nlicense: [mit, unknown]\n---\n", ""),
        ("---\nlicense: {a: b}\n---\n", ""),
        ("---\nother: {license: mit}\n---\n", ""),
        (BOMB + "---\n", "x AND x AND x AND x AND x AND x AND x AND x AND x"),
    ],
)
def test_the_licence_is_what_the_card_says(text: str, licence: str) -> None:
    assert read_card(text, "x").licence == licence


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="-license: configs[]{}&*a\n#'\"|>", max_size=60))
def test_random_cards_are_read_or_refused(text: str) -> None:
    card = None
    with suppress(DatasetError):
        card = read_card(f"---\n{text}\n---\n", "x")
    assert card is None or len(card.configs) <= len(text)


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("data/train-0.parquet", "data/train-*", True),
        ("data/deep/train-0.parquet", "data/*", False),
        ("data/deep/x.parquet", "**/*.parquet", True),
        ("x.parquet", "**/*.parquet", True),
        ("data/x.parquet", "data/**", True),
        ("data/x1.parquet", "data/x[0-9].parquet", True),
        ("data/x.parquet", "data/x?parquet", True),
        ("a" * 200, "*a" * 90 + "b", False),
        ("a/" * 30 + "a", "**/" * 30 + "b", False),
    ],
)
def test_patterns_stay_within_a_folder(name: str, pattern: str, fits: bool) -> None:
    began = time.process_time()
    assert matches(name, pattern) is fits
    assert time.process_time() - began < 1


def test_a_split_is_told_by_whole_words() -> None:
    assert [split_of(name) for name in ("contest.jsonl", "a/latest/b.jsonl", "train/x_test.jsonl")] == [
        "",
        "",
        "test",
    ]


def test_paths_that_fit_no_rule_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no such file"):
        find_dataset(tmp_path / "a\0b")
    with pytest.raises(DatasetError, match="there is no such file"):
        find_dataset("x" * 5000)
