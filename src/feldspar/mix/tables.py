"""The rows of one file: JSON lines, a JSON list, either gzipped, or Parquet; none is read whole.

Files come from strangers. A row has a longest length, what is packed may not unpack to hundreds of
times its size, Parquet is read by a child process with limits, and formats that run code are refused.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import os
import signal
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from feldspar.errors import DatasetError
from feldspar.mix.rows import ROW_MEND
from feldspar.text import printable

LONGEST_ROW = 4_000_000
"""Characters of JSON; a longer row is no conversation, and reading it could fill the memory."""

SUFFIXES = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz", ".parquet")
"""The endings of the files that hold rows."""

REFUSED: Mapping[str, str] = {
    ".py": "a script, which is never run",
    **dict.fromkeys((".pkl", ".pickle"), "a pickle, which runs code when it is opened"),
    **dict.fromkeys((".pt", ".pth", ".bin", ".ckpt"), "a PyTorch file, which runs code when it is opened"),
    **dict.fromkeys((".npy", ".npz"), "a NumPy file, which can hold pickles"),
    ".arrow": "an Arrow file",
    ".feather": "an Arrow file",
    **dict.fromkeys((".csv", ".tsv"), "a table without types"),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".zst", ".xz", ".bz2", ".7z"), "an archive"),
}
"""Endings of files that are never read as rows, and what they are."""

_MEND = f"Save it as {', '.join(SUFFIXES[:3])} or {SUFFIXES[-1]}."
_UNPACKED = 1_000_000_000
_RATIO = 500
"""How many bytes may come out of packed ones: a billion, or so many times their number."""
_ROWS = 1_000_000
_CHUNK = 1 << 18
_BLANK = " \t\r\n"


class TableRow(NamedTuple):
    """One row of a file."""

    number: int
    """Its line in a file of lines, its place in a list or in Parquet; from 1."""
    where: str
    """File and line, for errors."""
    data: Mapping[str, Any]


def rows_of(path: Path) -> Generator[TableRow, None, None]:
    """The rows of a file, in order; blank lines are passed over.

    Raises:
        DatasetError: The file or a row cannot be read; says file, line or row, and the mend.
    """
    _regular(path)
    name = path.name.lower()
    if refusal := refused(name):
        raise DatasetError(f"{printable(str(path))} is {refusal}", _MEND)
    try:
        if name.endswith(".parquet"):
            yield from _parquet(path)
            return
        with _opened(path) as (file, check):
            listed = name.endswith((".json", ".json.gz")) and _first(file) == "["
            yield from (_listed if listed else _lines)(path, file, check)
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: it is not UTF-8 text", "Save it as UTF-8.") from error
    except (EOFError, zlib.error) as error:
        raise DatasetError(f"{path}: it is cut short, or no gzip file", "Fetch the file again.") from error
    except OSError as error:
        told = error.strerror or "it is no gzip file"
        raise DatasetError(f"{path}: it cannot be read: {told}", "Check the path in the recipe.") from error


def refused(name: str) -> str:
    """What a file of this name is, if it is of a kind that is never read as rows; else nothing."""
    return next((words for suffix, words in REFUSED.items() if name.lower().endswith(suffix)), "")


def _regular(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or "it is no name of a file"
        raise DatasetError(f"{path}: it cannot be read: {told}", "Check the path in the recipe.") from error
    if not stat.S_ISREG(mode):
        # A pipe or a device could have no end.
        raise DatasetError(f"{path}: it cannot be read: it is no regular file", "Name a file of rows.")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[io.TextIOWrapper, Callable[[int], None]]]:
    """The file's text, and a check, given the number of rows so far, that it is no bomb."""
    size = path.stat().st_size
    with path.open("rb") as raw:
        packed = gzip.GzipFile(fileobj=raw, mode="rb") if path.name.lower().endswith(".gz") else None
        most = max(_UNPACKED, _RATIO * size)

        def check(rows: int) -> None:
            if packed is not None and (packed.tell() > most or rows > max(_ROWS, size)):
                told = f"{path}: it unpacks to far more than its {size:,} bytes"
                raise DatasetError(told, "If that is what it should hold, unpack it first.")

        binary: Any = packed or raw
        with io.TextIOWrapper(binary, encoding="utf-8-sig", newline="\n") as file:
            yield file, check


def _first(file: io.TextIOWrapper) -> str:
    """The first character that is no blank; the file starts anew afterwards."""
    found = next((char for char in file.read(_CHUNK) if char not in _BLANK), "")
    file.seek(0)
    return found


def _lines(path: Path, file: io.TextIOWrapper, check: Callable[[int], None]) -> Iterator[TableRow]:
    number = 0
    while text := file.readline(LONGEST_ROW + 1):
        number += 1
        check(number)
        where = f"{path}:{number}"
        if len(text) > LONGEST_ROW:
            raise DatasetError(f"{where}: the line is longer than 4 MB", ROW_MEND)
        if text.strip():
            yield TableRow(number, where, _object(text, where))


def _object(text: str, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: {_reason(error)}", "Put one JSON object on each line.") from error
    if not isinstance(row, dict):
        raise DatasetError(f"{where}: the line is not a JSON object", ROW_MEND)
    return row


def _no_number(_: str) -> None:
    """NaN stands for nothing: pandas writes it where a value is missing."""


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError):
        return "the line is not JSON that can be read: a number has more than 4,300 digits"
    return "the line is not JSON" + (", or nested too deep" if isinstance(error, RecursionError) else "")


def _listed(path: Path, file: io.TextIOWrapper, check: Callable[[int], None]) -> Iterator[TableRow]:
    """The objects of a JSON list, with no more than one of them, and a chunk, in memory."""
    decoder = json.JSONDecoder(parse_constant=_no_number)
    buffer, at, number = file.read(_CHUNK), 0, 0
    wanted = "["
    while True:
        check(number)
        at = _past_blanks(buffer, at)
        if at == len(buffer):
            buffer, at = file.read(_CHUNK), 0
            if buffer:
                continue
            if wanted == "":
                return
            raise DatasetError(f"{path}: the list has no end", "Fetch the file again.")
        char = buffer[at]
        where = f"{path}: row {number + 1}"
        if wanted == "{" and char == "{":
            row, at, buffer = _element(decoder, file, (buffer, at), where)
            number += 1
            yield TableRow(number, f"{path}: row {number}", row)
            wanted = ",]"
        elif char == "]" and (wanted == ",]" or (wanted == "{" and number == 0)):
            wanted, at = "", at + 1
        elif wanted and char in wanted and char in "[,":
            wanted, at = "{", at + 1
        else:
            told = "is not a JSON object" if wanted == "{" else "is followed by what is not JSON"
            raise DatasetError(f"{where if wanted == '{' else path}: it {told}", ROW_MEND)


def _past_blanks(buffer: str, at: int) -> int:
    while at < len(buffer) and buffer[at] in _BLANK + "\ufeff":
        at += 1
    return at


def _element(
    decoder: json.JSONDecoder, file: io.TextIOWrapper, place: tuple[str, int], where: str
) -> tuple[Mapping[str, Any], int, str]:
    """The object at a place in the buffer, reading on as it needs; where it ends, and the buffer."""
    buffer, at = place
    while True:
        try:
            row, end = decoder.raw_decode(buffer, at)
        except json.JSONDecodeError as error:
            # An object that the buffer cuts is in error at the buffer's end, or in its last string.
            cut = error.msg.startswith("Unterminated string") or error.pos >= len(buffer) - 12
            buffer, at = buffer[at:], 0
            more = file.read(max(_CHUNK, len(buffer))) if cut and len(buffer) <= LONGEST_ROW else ""
            if not more:
                told = "it is longer than 4 MB" if cut and len(buffer) > LONGEST_ROW else "it is not JSON"
                raise DatasetError(f"{where}: {told}", ROW_MEND) from error
            buffer += more
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"{where}: {_reason(error)}", ROW_MEND) from error
        else:
            if end - at > LONGEST_ROW:
                raise DatasetError(f"{where}: it is longer than 4 MB", ROW_MEND)
            return row, end, buffer


def _parquet(path: Path) -> Iterator[TableRow]:
    if importlib.util.find_spec("pyarrow") is None:
        told = f"{path}: Parquet needs pyarrow, which is not installed here"
        raise DatasetError(told, 'Run: pip install "feldspar[datasets]"')
    mend = "Fetch the file again, or save it anew."
    most = max(_UNPACKED, _RATIO * path.stat().st_size)
    number = read = 0
    with _child(path) as answer:
        while text := answer.readline(LONGEST_ROW + 1):
            read += len(text)
            where = f"{path}: row {number + 1}"
            if len(text) > LONGEST_ROW:
                raise DatasetError(f"{where}: it is longer than 4 MB", ROW_MEND)
            if read > most:
                raise DatasetError(f"{path}: it unpacks to far more than its size", mend)
            try:
                row = json.loads(text, parse_constant=_no_number)
            except (ValueError, RecursionError):
                break
            if isinstance(row, list):
                if row[0] == "rows":
                    return
                raise DatasetError(f"{path}: it cannot be read as Parquet: {printable(str(row[1]))}", mend)
            number += 1
            yield TableRow(number, where, row)
    raise DatasetError(f"{path}: the reader of Parquet gave up after row {number}", mend)


@contextmanager
def _child(path: Path) -> Iterator[IO[str]]:
    """What the reader says; it is ended whatever happens."""
    command = [sys.executable, "-I", str(Path(__file__).with_name("parquet.py")), str(path.resolve())]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        start_new_session=True,
        # The other pools reserve address space that the child's limit counts.
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"},
    )
    try:
        assert process.stdout is not None
        with process.stdout:
            yield process.stdout
    finally:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
