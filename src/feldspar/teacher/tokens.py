"""Token counts without torch or transformers: from tokenizer.json, or from a GGUF's own vocabulary.

A byte-level vocabulary (`gpt2` in GGUF) is rebuilt as `tokenizers` BPE with the split that the
file names; a scored one (`llama`, as in the paper's Mixtral teacher) as BPE with byte fallback.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import Prepend, Replace
from tokenizers.normalizers import Sequence as Normalizers
from tokenizers.pre_tokenizers import ByteLevel, Digits, Split
from tokenizers.pre_tokenizers import Sequence as Steps

from feldspar.errors import FeldsparError, StudentError, TeacherError
from feldspar.teacher.gguf import read_header

CountTokens = Callable[[str], int]

_CHARACTERS_A_TOKEN = 4
_CONTROL, _USER_DEFINED = 3, 4
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPLITS = {"llama-bpe": _WORDS + r"\p{N}{1,3}" + _REST, "qwen2": _WORDS + r"\p{N}" + _REST}
# smollm belongs here by llama.cpp's reading. It is left out because transformers, which trains the
# student from the same file, does not split there; they differ by a token in thousands of them,
# where two spaces or digits of other scripts stand before a digit.
_DIGIT_BY_DIGIT = {"starcoder", "refact", "command-r", "codeshell", "exaone"}


def token_counter(path: Path) -> CountTokens:
    """A function that counts the tokens of a text, special tokens around it not included.

    Args:
        path: a model's folder with its `tokenizer.json`, that file itself, or a GGUF file.

    Raises:
        StudentError: the folder has no `tokenizer.json`, or it cannot be read.
        TeacherError: the GGUF cannot be read, or its kind of vocabulary is unknown.
    """
    if path.is_dir() or path.suffix == ".json":
        tokenizer = _from_json(path / "tokenizer.json" if path.is_dir() else path)
    else:
        tokenizer = _from_gguf(path)
    # A saved tokenizer may cut or pad what it encodes; a count must do neither.
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    return count


def approximate_counter() -> CountTokens:
    """A counter for a teacher whose tokenizer is not at hand: four characters a token, rounded up."""

    def count(text: str) -> int:
        return -(-len(text) // _CHARACTERS_A_TOKEN)

    return count


def _from_json(file: Path) -> Tokenizer:
    if not file.is_file():
        raise StudentError(
            f"{file.parent} has no tokenizer.json.",
            "Save the tokenizer beside the model (save_pretrained of a fast tokenizer writes it).",
        )
    return _built(lambda: Tokenizer.from_file(str(file)), StudentError, file)


def _from_gguf(file: Path) -> Tokenizer:
    fields = read_header(file).fields
    model, tokens = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.tokens")
    if model not in {"gpt2", "llama"} or not isinstance(tokens, list):
        raise TeacherError(
            f"{file}: its vocabulary is of the kind {model!r}; gpt2 and llama can be counted with.",
            "Name a folder with the model's tokenizer.json instead.",
        )
    build = _byte_level if model == "gpt2" else _scored
    return _built(lambda: build(fields, tokens), TeacherError, file)


def _built(build: Callable[[], Tokenizer], error: type[FeldsparError], file: Path) -> Tokenizer:
    try:
        return build()
    except FeldsparError:
        raise
    except Exception as reason:  # tokenizers raises a bare Exception for every fault of its input
        raise error(f"{file}: its vocabulary cannot be read: {reason}.", "Fetch the file again.") from None


def _byte_level(fields: dict[str, Any], tokens: list[str]) -> Tokenizer:
    merges = [tuple(pair.split(" ", 1)) for pair in fields["tokenizer.ggml.merges"]]
    split = fields.get("tokenizer.ggml.pre", "")
    # Llama 3 looks a word up whole before merging.
    model = BPE(_numbered(tokens), merges, ignore_merges=split == "llama-bpe")
    tokenizer = Tokenizer(model)
    if split in _SPLITS:
        cut = Split(Regex(_SPLITS[split]), behavior="isolated")
        steps = Steps([cut, ByteLevel(add_prefix_space=False, use_regex=False)])
    elif split in _DIGIT_BY_DIGIT:
        steps = Steps([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
    else:
        steps = Steps([ByteLevel(add_prefix_space=False)])
    tokenizer.pre_tokenizer = steps
    return _with_added(tokenizer, fields, tokens)


def _scored(fields: dict[str, Any], tokens: list[str]) -> Tokenizer:
    """SentencePiece's BPE: a pair is merged in the order of the score of what it makes."""
    scores = fields["tokenizer.ggml.scores"]
    vocabulary = _numbered(tokens)
    ranked: list[tuple[float, int, tuple[str, str]]] = []
    for number, (token, score) in enumerate(zip(tokens, scores, strict=True)):
        halves = ((token[:cut], token[cut:]) for cut in range(1, len(token)))
        ranked += [
            (-score, number, pair) for pair in halves if pair[0] in vocabulary and pair[1] in vocabulary
        ]
    ranked.sort()
    unknown = tokens[fields.get("tokenizer.ggml.unknown_token_id", 0)]
    merges = [pair for _, _, pair in ranked]
    model = BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    tokenizer = Tokenizer(model)
    marks: list[Any] = [Replace(" ", "▁")]
    if fields.get("tokenizer.ggml.add_space_prefix", True):
        marks.insert(0, Prepend("▁"))
    tokenizer.normalizer = Normalizers(marks)
    return _with_added(tokenizer, fields, tokens)


def _numbered(tokens: list[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}


def _with_added(tokenizer: Tokenizer, fields: dict[str, Any], tokens: list[str]) -> Tokenizer:
    kinds = fields.get("tokenizer.ggml.token_type", [])
    marked = [t for t, kind in zip(tokens, kinds, strict=False) if kind in {_CONTROL, _USER_DEFINED} and t]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in marked])
    return tokenizer
