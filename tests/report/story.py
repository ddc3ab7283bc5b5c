"""A run with something of everything, for the report's tests."""

from __future__ import annotations

from feldspar.report import ReportData
from feldspar.types import (
    Answer,
    Checkpoint,
    Draft,
    Leaf,
    Message,
    Origin,
    Passage,
    Phase,
    PhaseData,
    Question,
    Row,
    Sample,
    Score,
    Seed,
    Take,
    Verdict,
)

ORRIN, LETTERS = "knowledge/islands/orrin", "compositional_skills/writing/letters"
REASONS = ("ungrounded", "near-duplicate", "judged out", "unparsable")


def draft(leaf: str, draw: int, rejected: str = "") -> Draft:
    text = f"The lamp of Orrin is lit at dusk, on day {draw} as on every other."
    return Draft(
        id=f"{leaf}#{draw}",
        leaf=leaf,
        draw=draw,
        instruction=f"When is the lamp lit on day {draw}?",
        response=f"At dusk, on day {draw}.",
        passage=Passage("orrin.md", ("Orrin", "The lamp"), text, 100, 100 + len(text)),
        verdicts=(Verdict("faithful", not rejected, 3.0 if not rejected else None, "It says so."),),
        rejected=rejected,
    )


def phase(name: str, rows: int, replayed: int, rate: float) -> PhaseData:
    origin = Origin("generated", f"{ORRIN}#1")
    sample = Sample("s", ORRIN, "knowledge", (Message("user", "?"), Message("assistant", "!")), origin)
    held = [Row(sample)] * rows + [Row(sample, "knowledge-1")] * replayed
    take = (Take("knowledge", "short"),)
    return PhaseData(
        Phase(name, take, learning_rate=rate, warmup_steps=4, batch_size=16, epochs=4), tuple(held)
    )


def curve(name: str, best: int) -> tuple[Checkpoint, ...]:
    found = []
    for turn in range(1, 5):
        losses = tuple(2.9 / (1 + 0.06 * (10 * (turn - 1) + k)) + 0.05 * (k % 3) for k in range(10))
        score = -2.0 + 0.3 * turn - 0.05 * turn**2
        found.append(
            Checkpoint(name, 10 * turn, turn, f"step-{10 * turn}", score, 0.11, turn == best, losses)
        )
    return tuple(found)


def full() -> ReportData:
    leaves = (
        Leaf(ORRIN, "knowledge", "The lighthouse of Orrin", (Seed("q", "a"),)),
        Leaf(LETTERS, "compositional_skills", "Write letters", (Seed("q", "a"),)),
        Leaf("knowledge/empty", "knowledge", "Nothing comes of it", (Seed("q", "a"),)),
    )
    lost = [draft(ORRIN, 61 + k, REASONS[k % 7 % 4]) for k in range(30)]
    lost += [draft(LETTERS, 31 + k, REASONS[k % 2]) for k in range(9)]
    lost += [draft("knowledge/empty", 1 + k, "unparsable") for k in range(6)]
    questions = tuple(
        Question(f"q#{k}", "orrin", f"Question {k} of Orrin?", f"Answer {k}.") for k in range(28)
    )
    return ReportData(
        title="first-lab",
        leaves=leaves,
        accepted=tuple([draft(ORRIN, k) for k in range(1, 61)] + [draft(LETTERS, k) for k in range(1, 31)]),
        rejected=tuple(lost),
        phases=(
            phase("knowledge-1", 60, 0, 2e-5),
            PhaseData(Phase("knowledge-2", (Take("knowledge", "long"),)), (), "no data"),
            phase("skills", 30, 60, 6.5e-6),
        ),
        checkpoints=curve("knowledge-1", 3) + curve("skills", 2),
        scores=(
            Score("choice", "orrin", 0.39, 0.79, 0.40, 0.094, 24, 0.1, 0.08),
            Score("loglik", "orrin", -3.461, -1.902, 1.559, 0.21, 28, 0.2, 0.15),
            Score("recall", "orrin", 0.05, 0.51, 0.46, 0.09, 26, 0.04, 0.09),
            Score("choice", "letters", 0.5, 0.5, 0.0, 0.0, 4, 0.2, 0.2),
            Score("choice", "all", 0.4, 0.75, 0.35, 0.09, 28, 0.09, 0.08),
        ),
        retention=Score("retention", "all", 1.874, 1.921, 0.047, 0.012, 18, 0.1, 0.1),
        questions=questions,
        base=tuple(Answer(q.id, q.group, 2, -3.4, 9, 0.0, f"Nobody knows {q.id}.") for q in questions),
        tuned=tuple(Answer(q.id, q.group, 0, -1.4, 9, 1.0, f"Surely {q.answer}") for q in questions),
        costs={"calls": 1234, "tokens": {"prompt": 345678, "completion": 23456}, "seconds": 412.4},
        recipe="taxonomy: taxonomy/\nteacher:\n  model: embedded\n",
        notes=("The judge is at chance on the seeds: its verdicts are recorded, not used.",),
    )
