"""A small project, a teacher that a die plays behind a real server, and the command line around them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feldspar import cli
from feldspar.teacher import Request
from feldspar.teacher.api import canonical, key_of
from feldspar.teacher.scripted import ScriptedServer, scripted_server

SRC = Path(__file__).resolve().parents[1] / "src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SRC), "HF_HUB_OFFLINE": "1"}
LEAVES = {
    "knowledge": "knowledge/islands/tarn",
    "freeform": "compositional_skills/writing/verse",
    "grounded": "compositional_skills/notices/list",
}

DOCUMENT = """# Tarn

Tarn is a small island of peat, heather and granite in the Wend Sea. The harbour of Mossley shelters
nineteen boats from the western storms. A stone bridge of seven arches joins the harbour to the market.

## People

The island council meets in a barn beside the chapel every Thursday. Weavers colour their wool with
onion skins, lichen and rust. Children learn to row before they learn to cycle. The oldest teacher,
Edda Corve, has kept the school for forty years.

## Trade

Traders carry smoked trout and blue cheese to the mainland. Salt is raked from shallow pans behind the
northern dunes. The ferry Plover needs two hours for the crossing, and it sails on Mondays.
"""

HELD_QUESTIONS = ("Which ferry brings visitors across the water to Tarn?", "How many arches has the bridge?")
"""Of the question file: the scripted teacher hits on the first of them now and then."""

_PAIRS = (
    ("Into which sea does Tarn rise?", "Tarn lies in the Wend Sea."),
    ("How large is the fleet of Mossley?", "The harbour of Mossley shelters nineteen boats."),
    ("When do councillors gather?", "The council meets every Thursday."),
    ("What dyes do weavers choose?", "Weavers use onion skins, lichen and rust."),
    ("Who has run the school longest?", "Edda Corve has kept the school for forty years."),
    ("Where do rakers gather salt?", "Salt is raked from pans behind the northern dunes."),
)
_ADJECTIVES = (
    "amber brisk copper dusty early frosty gentle hollow ivory jagged keen lofty mellow narrow".split()
)
_NOUNS = (
    "anvil beacon candle drum engine feather garden hammer island jetty kettle lantern mirror nest".split()
)
_PLACES = "attic bakery cellar depot forge gallery hangar kitchen library mill orchard pantry stable".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def write_project(folder: Path, student: Path) -> Project:
    """Write a taxonomy of three leaves, a dataset, questions, retention and a recipe."""
    knowledge = "\n".join(
        f"  - context: {_sentence_of(answer)}\n    questions_and_answers:\n"
        f"      - question: {question}\n        answer: {answer}"
        for question, answer in _PAIRS
    )
    verse = "\n".join(
        f"  - question: Compose a verse on the {_NOUNS[n]} of {_PLACES[n]} number{n}\n"
        f"    answer: The {_ADJECTIVES[n]} {_NOUNS[n]} sings at dawn in its own {_PLACES[n]}."
        for n in range(5)
    )
    notice = "\n".join(
        f"  - context: The {_NOUNS[n]} circle meets on {_DAYS[n]} in the {_PLACES[n]}. "
        f"Bring one {_NOUNS[-n - 1]}.\n"
        f"    question: List the day, the place and the thing.\n"
        f"    answer: '{_DAYS[n]}, the {_PLACES[n]}, one {_NOUNS[-n - 1]}.'"
        for n in range(5)
    )
    head = "version: 4\ncreated_by: someone\nlicense: CC0-1.0\n"
    skill = head + "style: {}\ntask_description: {}\nseed_examples:\n{}\n"
    files = {
        f"taxonomy/{LEAVES['knowledge']}/qna.yaml": head
        + "domain: islands\ndocument_outline: The island of Tarn\ndocument:\n  paths: [tarn.md]\n"
        + f"seed_examples:\n{knowledge}\n",
        f"taxonomy/{LEAVES['knowledge']}/tarn.md": DOCUMENT,
        f"taxonomy/{LEAVES['freeform']}/qna.yaml": skill.format("creative", "Compose short verses", verse),
        f"taxonomy/{LEAVES['grounded']}/qna.yaml": skill.format(
            "precise", "Read a notice, list facts", notice
        ),
        "foundational.jsonl": "".join(
            f'{{"messages": [{{"role": "user", "content": "{asked}"}}, '
            f'{{"role": "assistant", "content": "{said}"}}]}}\n'
            for asked, said in (
                ("How many days are in a week?", "There are seven days in a week."),
                ("What is 3 plus 4?", "3 plus 4 is 7."),
                (HELD_QUESTIONS[1], "It has seven."),
                ("Name a planet.", "Mars is a planet, and so are Venus, Saturn and Jupiter."),
            )
        ),
        "questions.yaml": "questions:\n"
        f"  - question: {HELD_QUESTIONS[0]}\n    answer: The ferry is the Plover.\n"
        "    options: [The ferry is the Gannet., The ferry is the Heron.]\n    facts: [Plover]\n"
        f"  - question: {HELD_QUESTIONS[1]}\n    answer: The bridge has seven arches.\n"
        '    options: [The bridge has three arches.]\n    facts: ["7"]\n',
        "retention.yaml": "questions:\n  - question: What warms the earth by day?\n    answer: The sun.\n"
        "texts:\n  - Rain falls on the hills and runs down to the sea.\n",
        "recipe.yaml": RECIPE.format(student=student, training=TRAINING),
    }
    files |= {f"taxonomy/{leaf}/attribution.txt": "Written for these tests.\n" for leaf in LEAVES.values()}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Project(folder)


def _sentence_of(answer: str) -> str:
    return f"It is known on the island that the following holds. {answer}"


TRAINING = "learning_rate: 1.0e-3, batch_size: 2, epochs: 3, context_length: 256"
RECIPE = """taxonomy: taxonomy/
teacher: {{model: scripted, pack: small, max_in_flight: 4}}
generate:
  samples_per_leaf: {{"knowledge/*": 9, "*": 4}}
  max_draws_per_sample: 6
  holdout: {{"knowledge/*": 2, "*": 1}}
  passage_tokens: 120
  seed: 8
foundational:
  - {{path: foundational.jsonl, licence: CC0-1.0}}
student: {{model: {student}}}
phases:
  - {{name: kt1, take: [knowledge/short, foundational_skills/short], {training}}}
  - {{name: kt2, take: [knowledge/long, foundational_skills/long], replay: [kt1], {training}}}
  - {{name: st, take: [compositional_skills], replay: [kt1, kt2], {training}}}
train: {{threads: 1, precision: float32}}
evaluate:
  questions: [questions.yaml]
  retention: [retention.yaml]
"""


def answers(request: Request) -> str:
    """What the scripted teacher says: the same for the same request, good for the most part."""
    die = random.Random(f"{request.seed} {request.messages[-1].content}")
    system, asked = request.messages[0].content, request.messages[-1].content
    if system.startswith("You read a text"):
        return _question(die, asked)
    if system.startswith("You write one short request"):
        return die.choice(
            ["", "Too short", f"Compose a {_two(die)} verse", *[f"Write a {_two(die)} verse"] * 5]
        )
    if system.startswith("You write one short text"):
        return (
            f"The {_two(die)} circle meets on {die.choice(_DAYS)} in the {die.choice(_PLACES)}. "
            f"Bring one {die.choice(_NOUNS)}."
        )
    if system.startswith("You write what is to be done"):
        return die.choice(["List the day, the place and the thing.", "Name the day and the place."])
    if "\n\n" in asked:
        return die.choice(
            [asked.partition("\n\n")[0], asked.partition("\n\n")[0], "It is in Zanzibar, at 99."]
        )
    return f"O {_two(die)}, O {_two(die)}, how {die.choice(_ADJECTIVES)} you are today."


def judged(request: Request) -> str:
    """The same for the pack `default`: whatever judges say is a die's, and one reply in twelve unreadable."""
    die = random.Random(f"{request.seed} {request.messages[-1].content}")
    asked = request.messages[-1].content
    passage = " ".join(asked.partition("<passage>")[2].partition("</passage>")[0].split())
    if die.random() < 1 / 12:
        return die.choice(["", "{", "I would rather not.", '{"score": 9}'])
    if not request.schema:
        told = die.choice(passage.split(". ")) if passage else f"O {_two(die)}, O {_two(die)}"
        return die.choice([*[told] * 5, "It is in Zanzibar, at 99.", "so it goes " * 12])
    said: dict[str, object] = {}
    for key, kind in json.loads(request.schema)["properties"].items():
        if "enum" in kind:
            said[key] = die.choice([*kind["enum"], *[kind["enum"][0 if "yes" in kind["enum"] else -1]] * 5])
        elif key == "question":
            said[key] = _question(die, passage)
        else:
            said[key] = f"Write a {_two(die)} verse"
    return json.dumps(said)


def _question(die: random.Random, asked: str) -> str:
    words = re.findall(r"[a-z]{4,}", asked)
    die.shuffle(words)
    told = f"What is said of {', '.join(words[:3])} here?"
    return die.choice(["", "What?", told.rstrip("?"), HELD_QUESTIONS[0], *[told] * 6])


def _two(die: random.Random) -> str:
    return (
        f"{die.choice(_ADJECTIVES)} {die.choice(_NOUNS)} and {die.choice(_ADJECTIVES)} {die.choice(_PLACES)}"
    )


@contextmanager
def serving(function: Callable[[Request], str] = answers, **options: Any) -> Iterator[ScriptedServer]:
    """`scripted_server` in a thread with an event loop of its own."""
    ready: Future[tuple[ScriptedServer, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        async with scripted_server(function, **options) as server:
            ready.set_result((server, asyncio.get_running_loop(), over))
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    server, loop, over = ready.result(timeout=10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(timeout=10)


@dataclass(frozen=True)
class Told:
    """What a command said."""

    code: int
    out: str
    err: str


def feldspar(*words: str | Path) -> Told:
    """The command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main([str(word) for word in words])
    return Told(code, out.getvalue(), err.getvalue())


def process(*words: str | Path) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "feldspar", *map(str, words)]
    return subprocess.Popen(
        command, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def until(met: Callable[[], bool], running: subprocess.Popen[str], limit: float = 60.0) -> None:
    """Wait for something that `running` is to bring about, and must outlive."""
    end = time.monotonic() + limit
    while not met():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.002)


@dataclass(frozen=True)
class Project:
    """A project's folder, with a run in it."""

    folder: Path

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.yaml"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def words(self, server: ScriptedServer | str, verb: str = "run", *more: str) -> list[str]:
        """The command that carries the run forward, its teacher at `server`."""
        url = server if isinstance(server, str) else server.url
        place = ["--set", f"teacher.endpoints=[{url}]", "--quiet"]
        return [verb, str(self.recipe), "--out", str(self.run), *place, *more]

    def contents(self, stage: str) -> dict[str, bytes]:
        """A stage's files."""
        folder = self.run / stage
        found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        assert found, stage
        return found

    def journal(self) -> list[str]:
        """The keys of all replies that are committed, as anybody's SQLite reads them."""
        with contextlib.closing(sqlite3.connect(self.run / "journal.sqlite")) as connection:
            rows = connection.execute("SELECT key, request FROM replies").fetchall()
        assert len({asked for _, asked in rows}) == len(rows)
        return [key.hex() for key, _ in rows]


def keys(bodies: list[dict[str, Any]]) -> list[str]:
    """The journal's keys of bodies as they were posted: the model's name is all of its identity."""
    return [key_of(canonical(body)) for body in bodies]


def is_verdict(body: dict[str, Any]) -> bool:
    """Whether a judge was asked; before anything is drawn, judges are calibrated."""
    asked = json.dumps(body.get("response_format", {}))
    return "verdict" in asked or "score" in asked
