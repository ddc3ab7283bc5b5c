"""Leaves a second that `feldspar check` reads, beside InstructLab's own validator, and the memory it needs.

Ten thousand leaves, mixed in version, kind and size, a few with problems, are written to a temporary
folder, and `instructlab-schema` goes into a virtual environment of its own beside them, with yamllint,
which is GPL and no part of Feldspar. Both check the same leaves, one after the other, in one process
each. The reference starts yamllint anew for each leaf, so it is timed on a sample of 300; and once more
on them with yamllint inside its process, which is its best case and not how it ships.

    .venv/bin/python benchmarks/check.py
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

LEAVES, FEWER, SAMPLE = 10_000, 1_000, 300
REFERENCE = "instructlab-schema==0.4.2"

WORDS = (
    "harbour lighthouse keeper storm lantern island ferry tide net boat captain chart compass reef gull salt "
    "rope anchor wave shore cliff village market bread wool sheep hill path stone bridge river mill wheel "
    "winter summer morning evening letter story song answer question teacher pupil book map name number year"
).split()

OURS = """
import json, resource, sys, time
from pathlib import Path
from feldspar.taxonomy import check
started = time.perf_counter()
problems = check([Path(sys.argv[1])])
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
errors = sorted({problem.file for problem in problems if problem.severity == "error"})
print(json.dumps({"seconds": seconds, "peak": peak, "errors": errors, "problems": len(problems)}))
"""

THEIRS = """
import contextlib, io, json, logging, os, sys, time
from instructlab.schema.taxonomy import TaxonomyParser, TaxonomyReadingException
os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
logging.disable(logging.CRITICAL)
parser = TaxonomyParser(schema_version=0, message_format="STANDARD")
parser.yq_available = False
inside = sys.argv[1] == "inside"
if inside:
    from yamllint import linter
    from yamllint.config import YamlLintConfig
    config = YamlLintConfig(parser.yamllint_config)
    parser._yamllint = lambda text, taxonomy: list(linter.run(text, config))
errors = []
started = time.perf_counter()
for line in sys.stdin.read().splitlines():
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            wrong = parser.parse(line).errors
    except TaxonomyReadingException:
        wrong = 1
    if wrong:
        errors.append(line)
print(json.dumps({"seconds": time.perf_counter() - started, "errors": errors}))
"""


def sentence(draw: random.Random, most: int = 14) -> str:
    """A line of words that no other line holds."""
    said = " ".join(draw.choices(WORDS, k=draw.randint(5, most)))
    return f"{said.capitalize()} {draw.randint(0, 10**9)}"


def block(draw: random.Random, indent: int) -> str:
    """A text of some lines below `|`."""
    return "|\n" + "".join(f"{' ' * indent}{sentence(draw)}.\n" for _ in range(draw.randint(1, 6)))


def skill(draw: random.Random) -> str:
    """A skill of version 1, 2 or 3, every third one with contexts."""
    version = draw.choice((1, 2, 3, 3))
    context = draw.random() < 0.3
    text = f"version: {version}\ncreated_by: someone\ntask_description: {sentence(draw)}\nseed_examples:\n"
    for _ in range(draw.randint(5, 8)):
        text += f"  - question: {sentence(draw)}?\n"
        text += f"    context: {block(draw, 6)}" if context else ""
        text += f"    answer: {block(draw, 6)}"
    return text


def knowledge(draw: random.Random) -> str:
    """A knowledge leaf of version 3."""
    text = f"version: 3\ncreated_by: someone\ndomain: islands\ndocument_outline: {sentence(draw)}\n"
    text += "document:\n  repo: https://example.org/island.git\n  commit: 0123abc\n"
    text += "  patterns:\n    - '*.md'\nseed_examples:\n"
    for _ in range(5):
        text += f"  - context: {block(draw, 6)}    questions_and_answers:\n"
        for _ in range(3):
            text += f"      - question: {sentence(draw)}?\n        answer: {block(draw, 10)}"
    return text


def spoilt(draw: random.Random, text: str) -> str:
    """The text with a mistake of a kind that people make."""
    old, new = draw.choice(
        (
            ("created_by: someone", "created-by: someone"),
            ("created_by: someone", "created_by: 2024-05-01"),
            ("created_by: someone\n", "created_by: someone  \n"),
            ("seed_examples:\n", "seed_examples:\n  - question: Why?\n"),
            ("question: ", "question: why: "),
        )
    )
    return text.replace(old, new, 1)


def write_leaves(root: Path, count: int) -> list[Path]:
    """Write a taxonomy, the same one each time; one leaf in fifty has a problem."""
    draw = random.Random(7)
    files = []
    for number in range(count):
        kind = draw.random()
        branch = (
            "knowledge" if kind < 0.3 else "foundational_skills" if kind < 0.4 else "compositional_skills"
        )
        text = knowledge(draw) if branch == "knowledge" else skill(draw)
        folder = root / branch / f"group{number % 40}" / f"leaf{number}"
        folder.mkdir(parents=True)
        file = folder / "qna.yaml"
        file.write_text(spoilt(draw, text) if number % 50 == 0 else text, encoding="utf-8")
        (folder / "attribution.txt").write_text("Title of work: Own\nLicense of the work: CC0-1.0\n")
        files.append(file)
    return files


def run(python: str, program: str, *arguments: str, given: str = "") -> dict[str, object]:
    """What a program that prints JSON gives, run by an interpreter in a process of its own."""
    done = subprocess.run(
        [python, "-c", program, *arguments], input=given, capture_output=True, text=True, check=True
    )
    result: dict[str, object] = json.loads(done.stdout)
    return result


def main() -> int:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = write_leaves(folder / "many", LEAVES)
        write_leaves(folder / "few", FEWER)
        venv.create(folder / "venv", with_pip=True)
        python = str(folder / "venv" / "bin" / "python")
        install = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            REFERENCE,
            "yamllint",
        ]
        subprocess.run(install, check=True)

        few = run(sys.executable, OURS, str(folder / "few"))
        many = run(sys.executable, OURS, str(folder / "many"))
        sample = sorted(random.Random(1).sample(files, SAMPLE))
        given = "\n".join(map(str, sample))
        theirs = run(python, THEIRS, "apart", given=given)
        inside = run(python, THEIRS, "inside", given=given)
        speed = LEAVES / float(str(many["seconds"]))
        print(f"feldspar: {speed:,.0f} leaves/s over {LEAVES:,}, {many['problems']} problems")
        rates = []
        for name, result in (("instructlab-schema", theirs), ("with yamllint inside", inside)):
            rates.append(SAMPLE / float(str(result["seconds"])))
            times = f"feldspar is {speed / rates[-1]:.0f} times faster"
            print(f"{name}: {rates[-1]:,.1f} leaves/s over {SAMPLE}; {times}")
        print(f"peak memory: {few['peak']} kB for {FEWER:,} leaves, {many['peak']} kB for {LEAVES:,}")
        growth = float(str(many["peak"])) / float(str(few["peak"])) - 1
        print(json.dumps({"ratio": round(speed / rates[0], 1), "memory_growth": round(growth, 4)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
