"""`feldspar export`: what a run made, in the forms that other tools load."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feldspar import jsonl
from feldspar.errors import RunError
from feldspar.run import Run
from feldspar.types import Sample

FORMS = ("hf", "messages")


def export(folder: Path, form: str, out: Path) -> int:
    """Write a run's model or its samples to `out`, which must not be there yet.

    Args:
        folder: The run's.
        form: `hf`: the tuned model as a folder that plain transformers loads. `messages`: the
            accepted samples as JSON lines `{"messages": [{"role", "content"}, …], "id", "leaf"}`.
        out: The folder (`hf`) or the file (`messages`) to write.

    Returns:
        How many files or rows were written.

    Raises:
        RunError: The run has not got that far, or `out` exists.
    """
    if form not in FORMS:
        raise ValueError(f"{form} is no form to export to")
    run = Run(folder, create=False, lock=False)
    stage, verb = ("model", "train") if form == "hf" else ("2-samples", "generate")
    if not run.complete(stage):
        raise RunError(f"{folder} has no {stage} yet", f"`feldspar {verb}` makes it.")
    if out.exists():
        raise RunError(f"{out} exists: nothing was written", "Name a new place with --out.")
    part = out.with_name(out.name + ".partial")
    with jsonl.writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        if form == "hf":
            return _copy(run.path("model"), part, out)
        count = 0
        with part.open("wb") as file:
            for row in _rows(run.path("2-samples") / "accepted.jsonl"):
                file.write(row)
                count += 1
        part.rename(out)
        return count


def _copy(model: Path, part: Path, out: Path) -> int:
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(model, part, ignore=shutil.ignore_patterns("stage.json"))
    part.rename(out)
    return sum(1 for path in out.rglob("*") if path.is_file())


def _rows(path: Path) -> Iterator[bytes]:
    for sample in jsonl.read(path, Sample):
        messages = [jsonl.to_json(message) for message in sample.messages]
        row: dict[str, Any] = {"messages": messages, "id": sample.id, "leaf": sample.leaf}
        yield (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
