"""What share of a teacher's limit the engine gets, beside other tools on the same server.

The server is `simulated_server.py`: continuous batching, 256 slots, lognormal lengths (means of 60, 90, 250
and 80 tokens, none above 512), the four steps of a skills pipeline. A share is slot-seconds over slots and
wall time, from the first request's arrival to the last one's end. *Fixed draws*: nothing is rejected, and
every call counts. *Quotas*: a third of the draws is rejected, and only the calls of draws 1 to k count,
those that end in the accepted or rejected files; the others are surplus. 28,000 calls are 100 leaves of 70
samples, or of 51 where a third is rejected; 2,800 are 20 leaves of 35, or 25.

The *ideal* beside a share is what the same calls would get if they were sent without any delay, the
earliest step first and no draw too many. 2,800 calls are a few per slot, so that a share hangs on where
the longest replies fall: Feldspar's is the mean over `--repeat` sets of lengths, and all others meet the
first of these sets. *Full* is when the slots were first busy, in seconds; *busy* is the client's share of
one core.

Each peer is installed from PyPI into a virtual environment of its own, kept in the user's cache folder,
and is kept off the network. InstructLab's order of work, one leaf at a time and a barrier after each step,
is our own driver on a clock four times as fast, since it leaves the server idle for most of the time.

    .venv/bin/python benchmarks/saturation.py [--quick] [--no-peers] [--full] [--calls N ...]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from peers.clients import PEERS, apart, python_of, told_by
from simulated.figures import SLOTS, Figures, figures
from simulated_server import SIGMAS

HERE = Path(__file__).parent
REJECT = 1 / 3
PER_DRAW = 4 - REJECT
"""Calls of a draw, where half of the rejected ones end at the judge of the instruction."""
TOKEN_SECONDS = 0.02
FASTER = 0.75
"""Of that clock, where calls are many: a client that is 15 % busy is not what is measured."""
QUICK_TOKEN_SECONDS = 0.008
MANY = 14_000
LEAF_BY_LEAF = "one leaf at a time"


@dataclass(frozen=True, slots=True)
class Server:
    """A simulated server that runs."""

    port: int

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def control(self, **settings: object) -> dict[str, Any]:
        """Change settings; returns the log so far, which the server forgets."""
        address, body = f"http://127.0.0.1:{self.port}/control", json.dumps(settings).encode()
        with urllib.request.urlopen(urllib.request.Request(address, body), timeout=60) as answer:
            told: dict[str, Any] = json.load(answer)
            return told


@contextmanager
def served() -> Iterator[Server]:
    """A server in a process of its own."""
    command = [sys.executable, str(HERE / "simulated_server.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(int(process.stdout.readline()))
        finally:
            process.terminate()


def measured(
    server: Server, settings: Mapping[str, object], command: Sequence[str], wanted: int, peer: bool
) -> tuple[Figures, str]:
    """Let a client work, and read the server's log.

    Args:
        server: The server.
        settings: The server's, for this client.
        command: The driver; the URL stands in it already.
        wanted: Samples that must come out.
        peer: Whether it is to be kept off the network.

    Returns:
        The figures, and a remark where the client did not bring what was wanted.

    Raises:
        RuntimeError: The client failed.
    """
    server.control(**settings)
    with tempfile.TemporaryDirectory() as folder:
        environment = apart(folder) if peer else dict(os.environ)
        told = told_by([part.replace("FOLDER", folder) for part in command], environment, 3600)
    answer = server.control()
    remark = "" if told["whole"] == wanted else f"{told['whole']:,} of {wanted:,} samples came out"
    late = 1000 * answer["late"] / max(1, len(answer["log"]))
    # The slots keep their own time, but a reply that is sent late is a teacher that seems slow.
    if late > 5:
        remark += f" (the server was {late:.0f} ms late on average: the machine is too busy)"
    return figures(answer["log"], told), remark.strip()


def say(name: str, found: Figures, remark: str) -> None:
    """One line of the table."""
    full = "never" if found.full is None else f"{found.full:.1f}"
    print(
        f"{name:<28} {found.calls:>6,} {found.share:>6.1%} {found.ideal:>6.1%} {found.surplus:>7.1%} "
        f"{full:>6} {found.wall:>7.1f} {found.cpu:>7.1f} {found.busy:>5.0%}{'  ' + remark if remark else ''}",
        flush=True,
    )


def leaves_of(calls: int, per_sample: float) -> tuple[int, int]:
    """How many leaves, and how many samples of each, make about so many calls."""
    leaves = max(1, round(calls / 4 / (70 if calls >= MANY else 35)))
    return leaves, max(1, round(calls / per_sample / leaves))


def ours(server: Server, calls: int, given: argparse.Namespace) -> dict[str, float]:
    """Feldspar's figures for so many calls; a run that fails is named and leaves them out."""
    driver = [sys.executable, str(HERE / "peers" / "with_feldspar.py"), server.url]
    many = calls >= MANY
    clock, sets = given.clock * (FASTER if many else 1), 1 if many else given.repeat
    result: dict[str, float] = {}
    for name, reject, per_sample in (("fixed", 0.0, 4.0), ("quota", REJECT, PER_DRAW / (1 - REJECT))):
        leaves, each = leaves_of(calls, per_sample)
        command = [*driver, str(leaves), str(each), "FOLDER", *([given.in_flight] if given.in_flight else [])]
        told = f"feldspar, {name}, {leaves} x {each}"
        every: list[Figures] = []
        for luck in range(1, sets + 1):
            settings = {"reject": reject, "token_seconds": clock, "luck": luck}
            try:
                found, remark = measured(server, settings, command, leaves * each, False)
            except RuntimeError as error:
                print(f"{told}: {error}", flush=True)
                break
            say(told, found, remark)
            every.append(found)
        if len(every) == sets:
            result[name] = round(fmean(found.share for found in every), 4)
            if reject:
                result["surplus"] = round(fmean(found.surplus for found in every), 4)
    return result


def others(server: Server, calls: int, clock: float) -> dict[str, float | None]:
    """The peers' figures, None for one that could not be installed or run."""
    result: dict[str, float | None] = {}
    for name in (*PEERS, LEAF_BY_LEAF):
        peer = PEERS.get(name)
        pace = clock if peer else clock / 4
        try:
            python = python_of(name, peer) if peer else sys.executable
            driver = HERE / "peers" / (peer.driver if peer else "leaf_by_leaf.py")
            command = [python, str(driver), server.url, str(calls // 4), "FOLDER"]
            settings = {"reject": 0.0, "token_seconds": pace, "luck": 1}
            found, remark = measured(server, settings, command, calls // 4, peer is not None)
        except RuntimeError as error:
            print(f"{name}: {error}", flush=True)
            result[name] = None
            continue
        say(f"{name} {peer.version}" if peer else name, found, remark)
        result[name] = round(found.share, 4)
    return result


def options() -> argparse.Namespace:
    """The command line."""
    words = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    words.add_argument("--calls", type=int, nargs="+", default=[28_000, 2_800])
    words.add_argument("--quick", action="store_true", help="2,800 calls on a fast clock, Feldspar alone")
    words.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    words.add_argument("--full", action="store_true", help="the peers make the largest number of calls too")
    words.add_argument("--repeat", type=int, default=3, help="sets of lengths for a small number of calls")
    words.add_argument("--token-ms", type=float, help="the clock: milliseconds of a slot for a token")
    words.add_argument("--sigma", type=float, help="one for the lengths of all steps")
    words.add_argument("--longest", type=float, default=512, help="tokens after which a reply ends")
    words.add_argument("--in-flight", default="", help="Feldspar's bound; without it, it finds its own")
    given = words.parse_args()
    if given.quick:
        given.calls, given.peers, given.repeat = [2_800], False, 1
    usual = QUICK_TOKEN_SECONDS if given.quick else TOKEN_SECONDS
    given.clock = given.token_ms / 1000 if given.token_ms else usual
    return given


def main() -> int:
    """Measure, print a table, and close with a line of JSON."""
    given = options()
    clock = f"{1000 * given.clock:g} ms a token, {FASTER:.0%} of it for {MANY:,} calls or more"
    lengths = f"lengths with sigma {given.sigma or SIGMAS}, to {given.longest:g} tokens"
    print(f"load {os.getloadavg()[0]:.2f}; {SLOTS} slots, {clock}; {lengths}")
    print(f"{'':<28}  calls  share  ideal surplus   full  wall s   CPU s  busy")
    closing: dict[str, Any] = dict.fromkeys(("share", "share_2800", "quota", "quota_2800", "surplus"))
    with served() as server:
        server.control(sigmas=[given.sigma] * 4 if given.sigma else SIGMAS, longest=given.longest)
        for calls in given.calls:
            found = ours(server, calls, given)
            ending = "" if calls == 28_000 else f"_{calls}"
            names = {"fixed": f"share{ending}", "quota": f"quota{ending}", "surplus": f"surplus{ending}"}
            closing |= {name: found.get(key) for key, name in names.items()}
        closing["peers"] = others(server, min(given.calls), given.clock) if given.peers else None
        if given.peers and given.full and max(given.calls) > min(given.calls):
            closing[f"peers_{max(given.calls)}"] = others(server, max(given.calls), given.clock)
    print(json.dumps(closing))
    return 0


if __name__ == "__main__":
    sys.exit(main())
