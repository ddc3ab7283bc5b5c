"""Leaves to write to a folder, as text."""

from __future__ import annotations

from pathlib import Path


def skill(version: int | None = 3, seeds: int = 5, extra: str = "") -> str:
    """A freeform skill."""
    head = "" if version is None else f"version: {version}\n"
    return f"{head}created_by: someone\ntask_description: Write riddles.\n{extra}seed_examples:\n" + "".join(
        f"  - question: Riddle {n}?\n    answer: Answer {n}.\n" for n in range(seeds)
    )


REPO = "document:\n  repo: https://example.org/r.git\n  commit: abc1234\n  patterns:\n    - '*.md'\n"
LOCAL = "document:\n  paths:\n    - island.md\n"


def knowledge(version: int = 3, seeds: int = 5, pairs: int = 3, document: str = REPO, extra: str = "") -> str:
    """A knowledge leaf."""
    text = (
        f"version: {version}\ncreated_by: someone\ndomain: islands\n"
        f"document_outline: |\n  The island of Orrin.\n{document}{extra}seed_examples:\n"
    )
    for seed in range(seeds):
        text += f"  - context: Context {seed}.\n    questions_and_answers:\n"
        for pair in range(pairs):
            text += f"      - question: What {seed} {pair}?\n        answer: That {seed} {pair}.\n"
    return text


def write(
    root: Path, leaf: str, text: str | bytes, attribution: str = "License of the work: CC0-1.0\n"
) -> Path:
    """Write a leaf's file, and its attribution unless that is empty; gives the file's path."""
    folder = root / leaf
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "qna.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    if attribution:
        (folder / "attribution.txt").write_text(attribution)
    return folder / "qna.yaml"
