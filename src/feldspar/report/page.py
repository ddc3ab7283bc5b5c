"""The page from top to bottom."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

from feldspar.report import bars, curves, scores, stories
from feldspar.report.data import ReportData
from feldspar.report.markup import element, escape
from feldspar.report.style import CSS

SECTIONS: tuple[Callable[[ReportData], str], ...] = (
    scores.headline,
    scores.scores,
    scores.retention,
    bars.funnel,
    curves.phases,
    stories.samples,
    stories.answers,
    stories.rejected,
    stories.costs,
    stories.recipe,
)


def render(data: ReportData) -> str:
    """A run as one HTML page: no script, nothing fetched, every text escaped.

    Args:
        data: The run, as far as it has come.

    Returns:
        The page. The same data give the same bytes.
    """
    digest = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
    # The style's own hash is all that is allowed: a text that got past the escaping could do nothing.
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = (
        '<meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(data.title)} \N{MIDDLE DOT} Feldspar</title><style>{CSS}</style>"
    )
    body = element("main", *(part(data) for part in SECTIONS))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'
