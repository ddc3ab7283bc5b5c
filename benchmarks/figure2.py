"""Figure 2 of the paper as an experiment: taxonomy-driven sampling against Self-Instruct's random pool.

Six unlike skills of five seeds each, the embedded teacher, as many draws and calls both ways. A draw's
task is that of the seed that its instruction is most like, and none where it is like none (ROUGE-L up to
0.3); nothing is filtered, so every draw counts. The ratio is of the draws that are near a task and new, by
Self-Instruct's own filter, taxonomy over pool.

    .venv/bin/python benchmarks/figure2.py --out runs/figure2

takes half an hour on two quiet cores; runs that are there are measured as they are.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from feldspar import taxonomy
from feldspar.generate.checks import likeness
from feldspar.generate.diversity import distinct, diversity, prompt_words, seed_words
from feldspar.generate.pool import by_task
from feldspar.types import Leaf, Message, Origin, Sample

HERE = Path(__file__).resolve().parent / "figure2"
ARMS = ("taxonomy", "pool")
NEAR = 0.7
"""ROUGE-L from which Self-Instruct drops an instruction."""
OFF = 0.3
"""ROUGE-L to every seed up to which a draw is near none of the tasks."""
NGRAMS = 1000

ROWS = {
    "near": "share of draws near a task (ROUGE-L above 0.3)",
    "rarest": "share of draws near the rarest task",
    "tasks": "effective number of tasks, of 6 (exponential of the entropy)",
    "own": "share of draws near a seed of the leaf whose turn it was",
    "similarity": "self-similarity: mean highest ROUGE-L to another draw",
    "pairwise": "mean ROUGE-L of all pairs",
    "words": "distinct words among 1,000",
    "pairs": "distinct pairs among 1,000",
    "triples": "distinct triples among 1,000",
    "seeds": "distance from the nearest seed (1 - ROUGE-L)",
    "kept": "share left by Self-Instruct's filter (ROUGE-L 0.7 to a seed or an earlier draw)",
    "both": "share left by the filter and near a task",
}


def run(folder: Path, arm: str, seed: int, draws: int) -> None:
    """Generate one arm through the command line; a run that is there is left alone."""
    if (folder / "2-samples").is_dir():
        return
    settings = {"sampling": arm, "seed": seed, "samples_per_leaf": draws}
    sets = [word for key, value in settings.items() for word in ("--set", f"generate.{key}={value}")]
    command = [sys.executable, "-m", "feldspar", "generate", str(HERE / "recipe.yaml"), "--out", str(folder)]
    subprocess.run([*command, *sets], check=True)


def drawn(folder: Path) -> list[Sample]:
    """Every draw that has an instruction, accepted or not, leaf by leaf."""
    rows = [
        json.loads(line)
        for name in ("drafts.jsonl", "rejected.jsonl")
        for line in (folder / "2-samples" / name).read_text(encoding="utf-8").splitlines()
    ]
    rows.sort(key=lambda row: (row["leaf"], row["draw"]))
    return [
        Sample(
            row["id"],
            row["leaf"],
            "compositional_skills",
            (Message("user", row["instruction"]),),
            Origin("generated", row["id"]),
        )
        for row in rows
        if row["instruction"]
    ]


def measured(samples: Sequence[Sample], leaves: Sequence[Leaf]) -> dict[str, float]:
    """The figures of one run, by their names in `ROWS`."""
    texts = [prompt_words(sample) for sample in samples]
    seeds = [seed for leaf in leaves for seed in seed_words(leaf)]
    tasks = [sample.leaf for sample in by_task(samples, leaves, least=OFF)]
    shares = [share for path, share in shares_of(samples, leaves).items() if path]
    near = math.fsum(shares)
    overall = diversity(samples, leaves).overall
    kept: list[tuple[str, ...]] = []
    useful = 0
    for text, task in zip(texts, tasks, strict=True):
        if not any(likeness(text, other, NEAR) >= NEAR for other in (*seeds, *kept)):
            kept.append(text)
            useful += bool(task)
    count = len(texts)
    return {
        "near": near,
        "rarest": min(shares),
        "tasks": math.exp(-math.fsum(share / near * math.log(share / near) for share in shares if share)),
        "own": sum(task == one.leaf for task, one in zip(tasks, samples, strict=True)) / count,
        "similarity": overall.self_similarity or 0.0,
        "pairwise": overall.pairwise or 0.0,
        "words": distinct(texts, 1, NGRAMS) or 0.0,
        "pairs": distinct(texts, 2, NGRAMS) or 0.0,
        "triples": distinct(texts, 3, NGRAMS) or 0.0,
        "seeds": 1 - math.fsum(max(likeness(text, seed) for seed in seeds) for text in texts) / count,
        "kept": len(kept) / count,
        "both": useful / count,
    }


def shares_of(samples: Sequence[Sample], leaves: Sequence[Leaf]) -> dict[str, float]:
    """The share of the draws near each leaf, by the nearest seed; under "" of those near none."""
    counts = Counter(sample.leaf for sample in by_task(samples, leaves, least=OFF))
    return {path: counts[path] / len(samples) for path in (*(leaf.path for leaf in leaves), "")}


def mean(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error; 0 of one value."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return statistics.fmean(values), error


def table(found: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """A Markdown table: both arms, and their difference paired over the seeds, ± one standard error."""
    lines = ["| | taxonomy | pool | difference |", "|---|---|---|---|"]
    for key, words in ROWS.items():
        one, two = ([row[key] for row in found[arm]] for arm in ARMS)
        columns = [one, two, [a - b for a, b in zip(one, two, strict=True)]]
        cells = [f"{value:.3f} ± {error:.3f}" for value, error in map(mean, columns)]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .quiet { fill: #59636e; } .line { stroke: #59636e; stroke-width: 1; } .even { stroke-dasharray: 4 4; }
  .taxonomy { fill: #1f6feb; } .pool { fill: #d4760a; } .error { stroke: #1f2328; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .quiet { fill: #9198a1; } .line { stroke: #9198a1; }
    .taxonomy { fill: #58a6ff; } .pool { fill: #f0a33f; } .error { stroke: #e6edf3; }
  }
"""


WIDE, HIGH, LEFT, TOP, GROUND = 640, 300, 56, 56, 256


def plot(shares: Mapping[str, Sequence[Mapping[str, float]]], paths: Sequence[str]) -> str:
    """Bars of the share of draws near each task and near none, both arms, with standard errors, as SVG."""
    most = max(value for arm in ARMS for row in shares[arm] for value in row.values()) * 1.15
    scale = (GROUND - TOP) / most
    told = "Share of the draws near each task, and near none"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" width="{WIDE}" role="img" '
        f'aria-label="{told}, taxonomy and pool">',
        f"<style>{STYLE}</style>",
        f'<text x="{LEFT}" y="20">{told}</text>',
    ]
    for at, arm in enumerate(ARMS):
        parts.append(f'<rect class="{arm}" x="{LEFT + at * 110}" y="30" width="11" height="11"/>')
        parts.append(f'<text x="{LEFT + 17 + at * 110}" y="40">{arm}</text>')
    for tenth in range(int(most * 10) + 1):
        y = GROUND - tenth / 10 * scale + 4
        parts.append(f'<text class="quiet" x="{LEFT - 8}" y="{y:.1f}" text-anchor="end">{tenth}0%</text>')
    for y, kind in ((GROUND, "line"), (GROUND - scale / (len(paths) - 1), "line even")):
        parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{WIDE - 12}" y1="{y:.1f}" y2="{y:.1f}"/>')
    for at, path in enumerate(paths):
        x = LEFT + 10 + at * 82
        parts += bars(x, {arm: mean([row[path] for row in shares[arm]]) for arm in ARMS}, scale)
        name = path.rpartition("/")[2] or "none"
        parts.append(f'<text x="{x + 31}" y="{GROUND + 18}" text-anchor="middle">{name}</text>')
    told = "dashed: every draw near its leaf; lines: ± one standard error"
    parts.append(f'<text class="quiet" x="{LEFT}" y="{HIGH - 6}">{told}</text>')
    return "\n".join([*parts, "</svg>", ""]).replace(">00%<", ">0%<")


def bars(x: int, values: Mapping[str, tuple[float, float]], scale: float) -> list[str]:
    """One task's bars."""
    parts = []
    for at, (arm, (value, error)) in enumerate(values.items()):
        y, start, middle = GROUND - value * scale, x + at * 33, x + at * 33 + 15
        parts.append(
            f'<rect class="{arm}" x="{start}" y="{y:.1f}" width="30" height="{value * scale:.1f}"/>'
            f'<line class="error" x1="{middle}" x2="{middle}" '
            f'y1="{y - error * scale:.1f}" y2="{y + error * scale:.1f}"/>'
        )
    return parts


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="a folder for the runs, and the plot")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--draws", type=int, default=40, help="of each leaf")
    options = parser.parse_args()
    leaves = taxonomy.read(HERE / "taxonomy").leaves
    found: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
    shares: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
    for seed in range(options.seeds):
        for arm in ARMS:
            folder = options.out / f"{arm}-{seed}"
            run(folder, arm, seed, options.draws)
            samples = drawn(folder)
            found[arm].append(measured(samples, leaves))
            shares[arm].append(shares_of(samples, leaves))
            print(f"{arm}, seed {seed}: {len(samples)} draws", flush=True)
    plotted = options.out / "figure2.svg"
    plotted.write_text(plot(shares, [*(leaf.path for leaf in leaves), ""]), encoding="utf-8")
    print(f"\n{table(found)}\n\nplot: {plotted}")
    both = {arm: statistics.fmean(row["both"] for row in found[arm]) for arm in ARMS}
    ratio = round(both["taxonomy"] / both["pool"], 2) if both["pool"] else None
    print(json.dumps({"ratio": ratio, "of": "new instructions near a task, taxonomy over pool"}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
