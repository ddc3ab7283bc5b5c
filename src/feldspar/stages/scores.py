"""5-scores: the student before and after, on the same questions (§4)."""

from __future__ import annotations

from pathlib import Path

from feldspar import evaluate, events, jsonl
from feldspar.run import Run
from feldspar.stages.training import load_student
from feldspar.stages.work import Work, files
from feldspar.types import Answer, Question, Score


def score_inputs(work: Work) -> dict[str, str]:
    """The model, and what it is asked."""
    return {
        "1-leaves": work.run.output_digest("1-leaves"),
        "model": work.run.output_digest("model"),
        **files("question file", work.recipe.evaluate.questions + work.recipe.evaluate.retention),
    }


def write_scores(work: Work, folder: Path) -> None:
    """Grade the student before and after on the same questions."""
    from feldspar import train

    run, recipe, watch = work.run, work.recipe, work.watch
    questions = [
        *jsonl.read(run.path("1-leaves") / "questions.jsonl", Question),
        *(one for path in recipe.evaluate.questions for one in evaluate.read_questions(path)),
    ]
    kept = [one for path in recipe.evaluate.retention for one in evaluate.read_questions(path)]
    texts = [text for path in recipe.evaluate.retention for text in evaluate.read_texts(path)]
    student = load_student(recipe)

    def graded(name: str) -> tuple[tuple[Answer, ...], tuple[Answer, ...]]:
        watch(events.Note(f"{name} answers {len(questions)} questions"))
        answers = evaluate.answer(student.model, student.tokenizer, questions)
        return answers, evaluate.retained(student.model, student.tokenizer, kept, texts)

    base, base_kept = graded("base")
    train.load_weights(student, run.path("model"))
    tuned, tuned_kept = graded("tuned")
    jsonl.write(folder / "questions.jsonl", questions)
    jsonl.write(folder / "base.jsonl", base)
    jsonl.write(folder / "tuned.jsonl", tuned)
    retention = evaluate.retention(base_kept, tuned_kept)
    scores = evaluate.compare(base, tuned) if questions else ()
    jsonl.write(folder / "scores.jsonl", (*scores, *((retention,) if retention else ())))


def read_scores(run: Run) -> tuple[tuple[Score, ...], Score | None]:
    """The scores, and that of retention apart."""
    scores = tuple(jsonl.read(run.path("5-scores") / "scores.jsonl", Score))
    kept = next((score for score in scores if score.metric == "retention"), None)
    return tuple(score for score in scores if score.metric != "retention"), kept
