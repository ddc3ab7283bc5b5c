"""The same four prompts for every peer, and what a driver tells when it is done.

A driver is called with the server's base URL, the number of rows and a folder of its own, and prints one
line of JSON last. It imports nothing of Feldspar: it runs in its peer's virtual environment.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

MODEL = "simulated"
CONCURRENCY = 256
"""The server's slots, which a person reads off its launch (`--max-num-seqs`)."""
MAX_TOKENS = 1024
TIMEOUT = 600

NAMES = ("instruction", "instruction_judgement", "response", "pair_judgement")
_SEEDS = (
    "Example 1:\nExplain to a new keeper how the lamp of a lighthouse is trimmed before a night of storm.\n\n"
    "Example 2:\nList what a village needs to know before a ferry may land at its pier in winter.\n\n"
    "Example 3:\nWrite a letter in which a miller asks the council for a new bridge over the river."
)
PROMPTS = (
    "[step 0] You write instructions that people could give to an AI assistant. Here are examples of "
    f"instructions for the task {{{{ task }}}}:\n\n{_SEEDS}\n\nWrite one new instruction for the same "
    "task, number {{ row }}. It is about something other than the examples, and complete.",
    "[step 1] You check instructions before they are used to teach an AI assistant. Examples of good "
    f"ones:\n\n{_SEEDS}\n\nThe instruction to check:\n\n{{{{ instruction }}}}\n\nIs it relevant, harmless "
    "and answerable? Give your reason, then yes or no.",
    "[step 2] You are a careful expert. You answer correctly and to the point.\n\n{{ instruction }}",
    "[step 3] You are an impartial judge of answers that an AI assistant gave.\n\nInstruction:\n"
    "{{ instruction }}\n\nAnswer:\n{{ response }}\n\nExplain in two sentences; then give a score of 1 to 3.",
)
"""Jinja, which all of the peers take."""
USES = (("task", "row"), ("instruction",), ("instruction",), ("instruction", "response"))
"""The columns that each prompt names."""


def rows(count: int) -> list[dict[str, Any]]:
    """What a peer starts from: a row for each sample, in ten tasks."""
    return [{"row": number, "task": f"letters from island {number % 10}"} for number in range(count)]


def timed(run: Callable[[str, int, str], int]) -> None:
    """Call a driver as the command line has it, and print what it took.

    Args:
        run: Takes base URL, number of rows and folder; returns the rows that came out whole.
    """
    url, count, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    before, started = os.times(), time.monotonic()
    whole = run(url, count, folder)
    after = os.times()
    told = {"cpu": sum(after[:4]) - sum(before[:4]), "seconds": time.monotonic() - started, "whole": whole}
    print(json.dumps(told), flush=True)
