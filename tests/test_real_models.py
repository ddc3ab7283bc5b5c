"""One short run of the real thing: the example's leaves, llama.cpp, SmolLM2, from taxonomy to report."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

EXAMPLE = Path(__file__).parents[1] / "examples" / "first-lab"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the example with few samples, one epoch a phase and four questions."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(EXAMPLE, folder / "project")
    questions = folder / "project" / "held-out-questions.yaml"
    asked = yaml.safe_load(questions.read_text(encoding="utf-8"))["questions"][:4]
    questions.write_text(yaml.safe_dump({"questions": asked}), encoding="utf-8")
    recipe = folder / "project" / "recipe.yaml"
    settings = ["generate.samples_per_leaf=5", *(f"phases.{name}.epochs=1" for name in ("kt1", "kt2", "st"))]
    command = [sys.executable, "-m", "feldspar", "run", str(recipe), "--out", str(folder / "run")]
    for setting in settings:
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "key-fact recall" in done.stdout
    return folder / "run"


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_leaf_has_its_samples(run: Path) -> None:
    funnel = json.loads((run / "2-samples" / "funnel.json").read_text(encoding="utf-8"))
    assert len(funnel) == 3
    for leaf, counts in funnel.items():
        assert counts["accepted"] == 5, leaf
        assert counts["draws"] == counts["accepted"] + sum(counts["rejected"].values()), leaf


def test_knowledge_is_said_in_the_document_s_words(run: Path) -> None:
    document = (EXAMPLE / "taxonomy/knowledge/islands/ondry/ondry.md").read_text(encoding="utf-8")
    told = [draft for draft in rows(run / "2-samples" / "drafts.jsonl") if draft["passage"]]
    assert told
    for draft in told:
        assert str(draft["response"]) in document
        assert str(draft["instruction"]).endswith("?")


def test_training_left_a_model_that_differs_and_scores_that_say_so(run: Path) -> None:
    assert (run / "model" / "model.safetensors").stat().st_size > 4 * 130e6
    base, tuned = rows(run / "5-scores" / "base.jsonl"), rows(run / "5-scores" / "tuned.jsonl")
    assert [answer["question"] for answer in base] == [answer["question"] for answer in tuned]
    assert all(a["loglik"] != b["loglik"] for a, b in zip(base, tuned, strict=True))
    retention = next(s for s in rows(run / "5-scores" / "scores.jsonl") if s["metric"] == "retention")
    assert retention["count"] == 18
    assert (run / "report.html").stat().st_size > 20_000


def test_a_sample_s_story_has_its_prompt(run: Path) -> None:
    name = str(rows(run / "2-samples" / "accepted.jsonl")[-1]["id"])
    command = [sys.executable, "-m", "feldspar", "show", str(run), name]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stderr
    assert "accepted" in told.stdout
    assert "user: Text:" in told.stdout
