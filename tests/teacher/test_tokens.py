"""Counts are the model's own, from tokenizer.json or from the weights file."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from tests.teacher.test_gguf import ARRAY, F32, STRING, U32, array, field, gguf, text
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from feldspar.errors import StudentError, TeacherError
from feldspar.teacher import approximate_counter, embedded_model, token_counter

SAMPLES = (
    "In 1987 the tower's 12345 bricks weren't counted; WE'LL see.",
    "  two spaces,\ttabs\n\n\nand lines  \n",
    "Zwölf Boxkämpfer, 日本語, العربية, 😀🏽, e\u0301, \u00a0nbsp",
    "<|im_start|>user\nHi<|im_end|>",
    "",
)


def test_the_embedded_models_counts_are_those_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    try:
        path = embedded_model()
    except TeacherError:
        pytest.skip("the embedded model is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = transformers.AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    count = token_counter(path)
    rng = random.Random(5)
    wild = ["".join(rng.choices("ab 12\n\t'sé日½٣😀.,-", k=60)) for _ in range(200)]
    prose = [file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("*.py")]
    for sample in [*SAMPLES, *wild, *prose]:
        assert count(sample) == len(known(sample, add_special_tokens=False)["input_ids"]), sample[:80]


def words_only(folder: Path) -> Path:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "a": 1, "b": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=10)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_a_folders_tokenizer_counts_without_cutting_or_padding(tmp_path: Path) -> None:
    count = token_counter(words_only(tmp_path))
    assert count("a b a b a b a") == 7
    assert count("a") == 1
    assert token_counter(tmp_path / "tokenizer.json")("a b") == 2


def test_a_folder_without_a_tokenizer_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(StudentError, match=r"has no tokenizer\.json"):
        token_counter(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{]")
    with pytest.raises(StudentError, match="cannot be read"):
        token_counter(tmp_path)


def vocabulary(folder: Path, kind: str, tokens: list[str], *more: bytes) -> Path:
    path = folder / "v.gguf"
    named = [
        field("tokenizer.ggml.model", STRING, text(kind)),
        field("tokenizer.ggml.tokens", ARRAY, array(STRING, len(tokens), b"".join(map(text, tokens)))),
    ]
    path.write_bytes(gguf([*named, *more]))
    return path


def test_a_scored_vocabulary_merges_by_score_and_falls_back_to_bytes(tmp_path: Path) -> None:
    byte = [f"<0x{n:02X}>" for n in range(256)]
    pieces = {"▁": -9.0, "a": -9.0, "b": -9.0, "c": -9.0, "ab": -1.0, "bc": -2.0, "▁ab": -3.0}
    tokens = ["<unk>", "<s>", "</s>", *byte, *pieces]
    scores = [0.0] * 259 + list(pieces.values())
    path = vocabulary(
        tmp_path,
        "llama",
        tokens,
        field(
            "tokenizer.ggml.scores", ARRAY, array(F32, len(scores), struct.pack(f"<{len(scores)}f", *scores))
        ),
        field("tokenizer.ggml.unknown_token_id", U32, struct.pack("<I", 0)),
    )
    count = token_counter(path)
    assert count("ab") == 1
    assert count("ab ab") == 2
    # "ab" scores above "bc": "abc" is ▁ab c, not ▁ a bc.
    assert count("abc") == 2
    assert count("abé") == 3


def test_an_unknown_kind_of_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="kind 'bert'"):
        token_counter(vocabulary(tmp_path, "bert", ["a"]))
    with pytest.raises(TeacherError, match="cannot be read"):
        token_counter(vocabulary(tmp_path, "gpt2", ["a"]))


def test_four_characters_are_about_a_token() -> None:
    count = approximate_counter()
    assert [count("x" * n) for n in (0, 1, 4, 5, 400)] == [0, 1, 1, 2, 100]


def test_counting_needs_neither_torch_nor_transformers() -> None:
    program = (
        "import sys, feldspar.teacher as t\n"
        "assert not {'torch', 'transformers', 'xllamacpp', 'gguf', 'numpy'} & set(sys.modules)"
    )
    source = str(Path(__file__).resolve().parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
