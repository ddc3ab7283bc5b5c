"""What 100,000 accepted samples take: memory, and time a sample, at the end as at the beginning.

`feldspar generate` as it is, 100 leaves of 1,000 samples, against `simulated_server.py` on a clock so fast
that only the client counts. Every thousand samples the resident memory of the process and its CPU seconds
are noted. The baseline is the run itself at 10,000 samples: its memory, and the CPU time of the samples
around that one.

    .venv/bin/python benchmarks/scale.py [--leaves 100] [--each 1000]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
EVERY = 1000
IN_FLIGHT = 1024
"""Said, not found: a client that is the bottleneck finds that the server always takes more."""

MIB = 1 << 20


def project(folder: Path, leaves: int, each: int, url: str) -> Path:
    """A taxonomy of so many skills, and a recipe for it."""
    from peers.with_feldspar import plan

    for number in range(leaves):
        leaf = plan(number, each).leaf
        place = folder / "taxonomy" / leaf.path
        place.mkdir(parents=True)
        seeds = "".join(
            f"  - question: {json.dumps(seed.question)}\n    answer: {json.dumps(seed.answer)}\n"
            for seed in leaf.seeds
        )
        head = f"version: 4\ncreated_by: nobody\nlicense: CC0-1.0\ntask_description: {leaf.task}\n"
        (place / "qna.yaml").write_text(f"{head}seed_examples:\n{seeds}", encoding="utf-8")
        (place / "attribution.txt").write_text("Made up.\n", encoding="utf-8")
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        "taxonomy: taxonomy/\n"
        f"teacher: {{model: simulated, endpoints: ['{url}'], max_in_flight: {IN_FLIGHT}}}\n"
        f"generate: {{samples_per_leaf: {each}, holdout: 0}}\n",
        encoding="utf-8",
    )
    return recipe


def watched(recipe: Path, run: Path) -> None:
    """Generate, and print (samples, MiB, CPU seconds, seconds) every thousand samples, as JSON lines."""
    from feldspar import events, lab
    from feldspar.recipe import load

    accepted: dict[str, int] = {}
    total = said = 0
    started = time.monotonic()

    def watch(event: events.Event) -> None:
        nonlocal total, said
        if isinstance(event, events.LeafProgress):
            total += event.accepted - accepted.get(event.leaf, 0)
            accepted[event.leaf] = event.accepted
            if total >= said + EVERY:
                said = total // EVERY * EVERY
                tell(said)

    def tell(samples: int) -> None:
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        used = sum(os.times()[:2])
        print(json.dumps([samples, resident / MIB, used, time.monotonic() - started]), flush=True)

    lab.run(load(recipe), run, verb="generate", watch=watch)
    tell(total)


def main() -> None:
    """Measure, and close with one line of JSON."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--leaves", type=int, default=100)
    options.add_argument("--each", type=int, default=1000)
    options.add_argument("--watched", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.watched:
        watched(*given.watched)
        return
    server = subprocess.Popen(
        [sys.executable, str(HERE / "simulated_server.py")], stdout=subprocess.PIPE, text=True
    )
    rows = []
    try:
        assert server.stdout is not None
        address = f"http://127.0.0.1:{int(server.stdout.readline())}"
        changes = json.dumps({"slots": 1024, "token_seconds": 0.001}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{address}/control", changes), timeout=60).close()
        with tempfile.TemporaryDirectory() as name:
            recipe = project(Path(name), given.leaves, given.each, f"{address}/v1")
            command = [sys.executable, __file__, "--watched", str(recipe), str(Path(name) / "run")]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
                assert client.stdout is not None
                for line in client.stdout:
                    rows.append(json.loads(line))
                    samples, memory, cpu, seconds = rows[-1]
                    if samples % 10_000 == 0:
                        print(
                            f"{samples:>7,} samples {memory:6.0f} MiB {cpu:7.1f} s CPU {seconds:7.1f} s",
                            flush=True,
                        )
            if client.returncode:
                raise SystemExit(client.returncode)
    finally:
        server.terminate()
    *told, last = rows
    at = {samples: (memory, cpu) for samples, memory, cpu, _ in told}
    end = max(at)
    start = min(end, 10 * EVERY)

    def cost(samples: int) -> float:
        """CPU milliseconds a sample, over the ten thousand before this one."""
        return (
            1000
            * (at[samples][1] - at[max(EVERY, samples - 9 * EVERY)][1])
            / (samples - max(EVERY, samples - 9 * EVERY))
        )

    ratio, peak = cost(end) / cost(start), max(memory for memory, _ in at.values())
    print(f"CPU a sample: {cost(start):.2f} ms around {start:,}, {cost(end):.2f} ms around {end:,}")
    print(
        f"memory: {at[start][0]:.0f} MiB at {start:,}, {peak:.0f} at most, {last[1]:.0f} once all is written"
    )
    told_last = {
        "ratio": round(ratio, 3),
        "mib": round(max(peak, last[1])),
        "growth": round(peak / at[start][0] - 1, 3),
    }
    print(json.dumps(told_last))


if __name__ == "__main__":
    main()
