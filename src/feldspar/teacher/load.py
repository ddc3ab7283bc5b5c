"""What a server says of its own queue: the page of metrics that Prometheus reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

LARGEST_PAGE = 8 << 20
"""Bytes; vLLM's histograms make some hundred thousand."""

_LARGEST_COUNT = 10**7
_GAUGES: Mapping[bytes, tuple[bytes, bytes]] = {
    b"vllm": (b"num_requests_running", b"num_requests_waiting"),
    b"sglang": (b"num_running_reqs", b"num_queue_reqs"),
    b"llamacpp": (b"requests_processing", b"requests_deferred"),
}
"""Server to its gauges of requests at work and of those that wait."""

_LINE = re.compile(
    rb"^(vllm|sglang|llamacpp):("
    + b"|".join(name for pair in _GAUGES.values() for name in pair)
    + rb")(?:\{[^\n]*\})?[ \t]+([0-9][0-9.eE+]{0,20})(?=[ \t\r\n]|\Z)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Load:
    """Requests at a server, whoever sent them."""

    running: int
    waiting: int


def load_in(page: bytes) -> Load | None:
    """The load that a page of metrics tells, summed over engines; None if it tells none."""
    sums: dict[tuple[bytes, bytes], float] = {}
    for server, name, value in _LINE.findall(page):
        try:
            count = float(value)
        except ValueError:
            continue
        if count <= _LARGEST_COUNT:
            sums[server, name] = sums.get((server, name), 0.0) + count
    for server, (running, waiting) in _GAUGES.items():
        if (server, running) in sums and (server, waiting) in sums:
            return Load(int(sums[server, running]), int(sums[server, waiting]))
    return None


def metrics_url(base: str) -> str:
    """Where a server that serves the API at `base` has its metrics: beside /v1, not under it."""
    parts = urlsplit(base)
    return urlunsplit((parts.scheme, parts.netloc, f"{parts.path.removesuffix('/v1')}/metrics", "", ""))
