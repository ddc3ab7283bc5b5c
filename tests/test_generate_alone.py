"""`generate` and `mix` by themselves: without torch, and again after a leaf has changed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.lab_project import ENVIRONMENT, LEAVES, feldspar, keys, serving, write_project
from tests.tiny import make_tiny

WITHOUT_TORCH = """
import json, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "safetensors", "accelerate"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
from feldspar.cli import main
for words in json.loads(sys.argv[1]):
    code = main(words)
    assert code == 0, (words, code)
"""


def test_all_but_training_and_evaluation_works_without_torch(tmp_path: Path) -> None:
    project = write_project(tmp_path, make_tiny(tmp_path / "tiny"))
    with serving() as server:
        commands = [
            ["--help"],
            ["check", str(project.folder / "taxonomy"), "--strict"],
            ["plan", str(project.recipe), "--set", f"teacher.endpoints=[{server.url}]"],
            project.words(server, "generate"),
            ["mix", str(project.run), "--quiet"],
        ]
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, json.dumps(commands)],
            env=ENVIRONMENT, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert re.search(r"^all +17 ", done.stdout, re.MULTILINE), "the plan"
    assert (project.run / "3-phases" / "kt1.jsonl").is_file()


def test_a_changed_leaf_is_refused_and_redone_for_no_more_than_it_changed(tmp_path: Path) -> None:
    project = write_project(tmp_path, tmp_path / "no-student")
    with serving() as server:
        assert feldspar(*project.words(server, "generate")).code == 0
        before, kept = len(server.bodies), project.contents("2-samples")
        told = feldspar(*project.words(server, "generate", "--set", "generate.max_draws_per_sample=7"))
        assert told.code == 1
        assert "2-samples" in told.err
        assert "generate.max_draws_per_sample was 6 and is 7" in told.err
        assert "--redo" in told.err
        leaf = project.folder / "taxonomy" / LEAVES["freeform"] / "qna.yaml"
        leaf.write_text(leaf.read_text().replace("Compose short verses", "Compose rather short verses"))
        told = feldspar(*project.words(server, "generate"))
        assert told.code == 1
        assert f"leaf {LEAVES['freeform']} has changed" in told.err
        assert LEAVES["grounded"] not in told.err
        assert project.contents("2-samples") == kept
        assert len(server.bodies) == before
        told = feldspar(*project.words(server, "generate", "--redo"))
        assert told.code == 0, told.err
    posted = keys(server.bodies)
    assert len(set(posted)) == len(posted) == len(project.journal()), "nothing is asked twice"
    # The other leaves come out of the journal, but for what is drawn ahead of need, which hangs on timing.
    changed = ["rather short verses" in json.dumps(body["messages"]) for body in server.bodies[before:]]
    assert sum(changed) >= 8
    assert sum(not one for one in changed) <= 8
    after = project.contents("2-samples")
    assert after["stage.json"] != kept["stage.json"]
    for name in ("accepted.jsonl", "rejected.jsonl"):
        others = [
            [line for line in files[name].splitlines() if LEAVES["freeform"].encode() not in line]
            for files in (kept, after)
        ]
        assert others[0] == others[1], "the other leaves' samples are as they were"
