"""A budget of tokens or money: once it is reached, nothing more is sent.

What is spent is what the journal holds, of every process that wrote there, so a budget is of the run
and not of a command. It is looked at in front of each request and after each reply: it is overdrawn by
what is in flight when it is reached, which comes home and is kept, and by nothing else.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from feldspar.errors import BudgetSpent, TeacherError
from feldspar.teacher import store
from feldspar.teacher.api import Reply

_MILLION = 1e6
_OPENING = '{"model":'


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, in whatever currency the budget is meant in."""

    prompt: float = 0.0
    completion: float = 0.0

    def of(self, prompt: float, completion: float) -> float:
        """What so many tokens cost."""
        return (prompt * self.prompt + completion * self.completion) / _MILLION


class Budget:
    """What a run may spend, shared by all teachers over one journal.

    Args:
        journal: The journal's file; it is read when the first request is to be sent.
        tokens: Prompts and replies together; None: any number.
        cost: Money; None: any sum.
        price: The teacher's, and that of every model that has none of its own.
        prices: By identity, those of models that have their own.
    """

    def __init__(
        self,
        journal: Path,
        tokens: int | None = None,
        cost: float | None = None,
        price: Price | None = None,
        prices: Mapping[str, Price] | None = None,
    ) -> None:
        self.tokens = 0
        """Spent so far."""
        self.cost = 0.0
        """Spent so far."""
        self._limits = (tokens, cost)
        self._price = price or Price()
        self._prices = dict(prices or {})
        self._journal = journal
        self._begun = False
        self._told: list[Callable[[BudgetSpent], None]] = []

    def listen(self, told: Callable[[BudgetSpent], None]) -> None:
        """Have `told` called once the budget is reached, by whichever teacher."""
        self._told.append(told)

    def check(self) -> None:
        """Look whether another request may be sent.

        Raises:
            BudgetSpent: None may.
        """
        if not self._begun:
            self._begin()
        tokens, cost = self._limits
        if tokens is not None and self.tokens >= tokens:
            raise _spent(f"{self.tokens:,} of {tokens:,} tokens", "tokens")
        if cost is not None and self.cost >= cost:
            raise _spent(f"{_money(self.cost)} of {_money(cost)} (at teacher.price)", "cost")

    def note(self, identity: str, reply: Reply) -> None:
        """Take in what a reply took, and tell all who listen if that was the rest of the budget.

        Raises:
            TeacherError: The server does not say what it took.
        """
        if not reply.prompt_tokens and not reply.completion_tokens:
            raise TeacherError(
                f"{identity} does not say how many tokens a reply took, so no budget can be kept.",
                "Take generate.budget out, or have the server report its usage.",
            )
        self._add(identity, reply.prompt_tokens, reply.completion_tokens)
        try:
            self.check()
        except BudgetSpent as spent:
            for told in self._told:
                told(spent)

    def _begin(self) -> None:
        """Count what is in the journal; by model only where that makes a difference: it reads every row."""
        self._begun = True
        query = "SELECT prompt_tokens, completion_tokens FROM totals"
        if self._prices:
            query = "SELECT prompt_tokens, completion_tokens, request FROM replies"
        if not self._journal.exists():
            return
        connection, _ = store.opened(self._journal, readonly=True, check=False)
        with closing(connection):
            try:
                for prompt, completion, *request in connection.execute(query):
                    self._add(_model(request[0]) if request else "", prompt, completion)
            except sqlite3.Error as error:
                raise store.said(self._journal, error) from None
            except (ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
                raise store.damaged(self._journal, str(error)) from None

    def _add(self, identity: str, prompt: int, completion: int) -> None:
        self.tokens += prompt + completion
        self.cost += self._prices.get(identity, self._price).of(prompt, completion)


def _model(stored: bytes) -> str:
    """Who a stored request was for: what stands first in it."""
    text = store.unpacked(stored)
    if not text.startswith(_OPENING):
        return ""
    model, _ = json.JSONDecoder().raw_decode(text, len(_OPENING))
    return model if isinstance(model, str) else ""


def _money(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.3g}"


def _spent(what: str, key: str) -> BudgetSpent:
    return BudgetSpent(
        f"paused: {what} are spent",
        f"Raise generate.budget.{key} and give the same command again: it goes on where it stopped.",
    )
