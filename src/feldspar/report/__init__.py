"""What a person looks at: one HTML page that opens without a network.

`page.py` is the page from top to bottom; each section is a function that takes `ReportData` and
returns HTML. Every text that comes from outside goes through `markup.escape`.
"""

from __future__ import annotations

from feldspar.report.data import ReportData
from feldspar.report.page import render

__all__ = ["ReportData", "render"]
