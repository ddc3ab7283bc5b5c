"""The child process of `tables`: the rows of a Parquet file as JSON lines on standard output.

A process of its own, because a hostile file of some bytes can ask the reader for any amount of memory,
or crash it. Run as a file, not as a module: it needs nothing of the package. Each row is an object; the
last line is a list, `["rows", count]` or `["error", reason]`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from typing import Any, TextIO

MEMORY = 2 * 1024**3
"""Bytes of address space: a batch of the longest rows, and the reader itself."""

_BATCH = 32
_FEWEST_REFUSED = 1_000_000


def main(path: str) -> None:
    """Writes the rows; whatever native code prints is dropped."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    _limit(os.path.getsize(path))
    try:
        last = ["rows", _rows(path, answer)]
    except MemoryError:
        last = ["error", "it needs more than 2 GB of memory"]
    except BrokenPipeError:
        os._exit(1)
    except (OSError, ValueError, RuntimeError, LookupError, TypeError, NotImplementedError) as error:
        # pyarrow's own errors are of these kinds.
        last = ["error", " ".join(str(error).split())[:200]]
    with contextlib.suppress(BrokenPipeError):
        answer.write(json.dumps(last) + "\n")
        answer.flush()
    # At once: native threads may wait for each other for good after an error.
    os._exit(0)


def _limit(size: int) -> None:
    try:
        import resource
    except ImportError:  # pragma: no cover - a system without such limits
        return
    limits = {"RLIMIT_AS": MEMORY, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_CPU": 120 + size // 100_000}
    for name, most in limits.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (most, most))


def _rows(path: str, answer: TextIO) -> int:
    # By name: the package has no types, and types are checked where it is not installed, too.
    parquet = importlib.import_module("pyarrow.parquet")
    with parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
        names = file.schema_arrow.names
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two columns are called {twice[:60]}")
        if file.metadata.num_rows > max(_FEWEST_REFUSED, os.path.getsize(path)):
            raise ValueError(f"{file.metadata.num_rows} rows in so few bytes are none that a person wrote")
        count = 0
        for batch in file.iter_batches(batch_size=_BATCH, use_threads=False):
            for row in batch.to_pylist():
                answer.write(json.dumps(row, ensure_ascii=False, default=_plain) + "\n")
                count += 1
        return count


def _plain(value: Any) -> Any:
    """What JSON has no form for: old files keep text as bytes; dates and decimals become text."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"bytes": len(value)}
    return str(value)


if __name__ == "__main__":
    main(sys.argv[1])
