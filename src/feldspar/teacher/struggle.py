"""How long faults have gone on, against how long they are waited out."""

from __future__ import annotations

import time
from dataclasses import dataclass

from feldspar.teacher.answers import Fault
from feldspar.teacher.endpoints import Patience


@dataclass(slots=True)
class Struggle:
    """Trouble so far: of one request, or of all of them since the last reply."""

    overload_since: float | None = None
    transport_since: float | None = None
    tries: int = 0
    last: Fault | None = None
    least: int = 0
    """Tries before its budget is spent, however long they took: one request waits its turn between them."""

    def spent(self, fault: Fault, until: float, patience: Patience) -> bool:
        """Takes a fault in; whether its kind's budget does not reach until then."""
        now = time.monotonic()
        self.tries += 1
        self.last = fault
        if fault.kind == "overload":
            self.overload_since = now if self.overload_since is None else self.overload_since
            since, budget = self.overload_since, patience.overload
        else:
            self.transport_since = now if self.transport_since is None else self.transport_since
            since, budget = self.transport_since, patience.total
        return until - now > budget or (self.tries >= self.least and until - since > budget)
