"""The student: a GGUF file, a local folder or a Hugging Face id, as a float32 model that can be saved."""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
from transformers.utils import logging as their_logging

from feldspar.errors import StudentError
from feldspar.train.encode import encode
from feldspar.train.records import Student
from feldspar.train.template import settle_template
from feldspar.types import Message

# What transformers, gguf and safetensors raise on files that are not what they claim to be.
LOADING_ERRORS = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
    ImportError,
    AssertionError,
    struct.error,
    SafetensorError,
)

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "vocab.txt")
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


def load_student(source: str, chat_template: str = "auto", device: str = "auto") -> Student:
    """Load a model and its tokenizer for training, in float32, with a chat template that works.

    Args:
        source: a GGUF file, a folder of safetensors, or a Hugging Face id (`HF_HUB_OFFLINE` is respected).
        chat_template: `auto`: the model's own, or ours where it has none; `keep`: its own or an error;
            otherwise the path of a Jinja file.
        device: `cpu`, `cuda`, or `auto`: a CUDA device if there is one.

    Raises:
        StudentError: it is not there, is damaged, has no safetensors, no tokenizer or no usable template.
    """
    path = Path(source).expanduser()
    embedded = path.is_file()
    with quiet():
        if embedded:
            model, tokenizer = _from_gguf(path)
        elif path.is_dir():
            _check_folder(path)
            model, tokenizer = _load(str(path), local_files_only=True)
        elif path.suffix == ".gguf" or not _HUB_ID.fullmatch(source):
            raise StudentError(
                f"{source}: no such model file or folder",
                "Set student.model to `embedded`, a folder, a GGUF file or a Hugging Face id.",
            )
        else:
            model, tokenizer = _from_hub(source)
        settle_template(model, tokenizer, chat_template)
        # A template that cannot be trained through is found now, not after the samples are made.
        encode(tokenizer, (Message("user", "Is the sky blue?"), Message("assistant", "Yes.")), 1 << 20)
    wanted = device if device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    model.to(wanted)
    model.eval()
    return Student(model=model, tokenizer=tokenizer, source=source, embedded=embedded)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars and warnings off the terminal, which is the caller's."""
    verbosity = their_logging.get_verbosity()
    bars = their_logging.is_progress_bar_enabled()
    their_logging.set_verbosity_error()
    their_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        their_logging.set_verbosity(verbosity)
        if bars:
            their_logging.enable_progress_bar()


def _check_folder(path: Path) -> None:
    if not (path / "config.json").is_file():
        raise StudentError(f"{path}: no config.json, so no model", "Name the folder that holds the model.")
    if not any(path.glob("*.safetensors")):
        raise StudentError(
            f"{path}: no *.safetensors weights",
            "Feldspar loads no pickled weights (*.bin, *.pt): convert the model to safetensors.",
        )
    if not any((path / name).is_file() for name in _TOKENIZER_FILES):
        raise StudentError(
            f"{path}: the model has no tokenizer", "Copy its tokenizer.json and tokenizer_config.json there."
        )


def _from_gguf(path: Path) -> tuple[Any, Any]:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise StudentError(f"{path}: not a GGUF file", "Name a GGUF file, or download it again.")
    # Without `dequantize`, transformers may fetch kernels from a hub and keep weights that cannot be trained.
    dequantized = GgufConfig(gguf_file=path.name, dequantize=True)
    with redirect_stderr(io.StringIO()):  # a progress bar there asks nobody
        model, tokenizer = _load(str(path.parent), gguf_file=path.name, quantization_config=dequantized)
    # What is left of the quantization would stop the model from being saved and loaded again.
    for holder, name in ((model.config, "quantization_config"), (model, "hf_quantizer")):
        if hasattr(holder, name):
            delattr(holder, name)
    model.is_quantized = False
    return model, tokenizer


def _from_hub(source: str) -> tuple[Any, Any]:
    try:
        return _load(source)
    except StudentError as error:
        raise StudentError(
            f"{source}: neither a folder here nor a Hugging Face model that can be loaded ({_line(error)})",
            "Check the name and the connection, or name a local folder.",
        ) from error


def _load(source: str, **where: Any) -> tuple[Any, Any]:
    tokens = {key: value for key, value in where.items() if key != "quantization_config"}
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, **tokens)
    except LOADING_ERRORS as error:
        raise StudentError(
            f"{_name(source, where)}: the tokenizer cannot be loaded ({_line(error)})",
            "The file may be damaged or of a kind that transformers does not know: fetch it again.",
        ) from error
    if len(tokenizer) < 2:
        raise StudentError(f"{source}: the model has no tokenizer", "Copy its tokenizer.json there.")
    weights: dict[str, Any] = dict(where) if "gguf_file" in where else {**where, "use_safetensors": True}
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            source, dtype=torch.float32, trust_remote_code=False, output_loading_info=True, **weights
        )
    except LOADING_ERRORS as error:
        raise StudentError(
            f"{_name(source, where)}: the model cannot be loaded ({_line(error)})",
            "The file may be damaged or of a kind that transformers does not know: fetch it again.",
        ) from error
    missing = sorted(found["missing_keys"]) + sorted(str(key) for key in found["mismatched_keys"])
    if missing:
        # transformers would fill these with random numbers.
        raise StudentError(
            f"{_name(source, where)}: {len(missing)} weights are missing, such as {missing[0]}",
            "The model is incomplete: fetch it again.",
        )
    return model, tokenizer


def _name(source: str, where: dict[str, Any]) -> str:
    return str(Path(source) / where["gguf_file"]) if "gguf_file" in where else source


def _line(error: Exception) -> str:
    what = error.what if isinstance(error, StudentError) else str(error)
    return (what.strip().splitlines() or [type(error).__name__])[0][:200]
