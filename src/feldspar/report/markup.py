"""HTML by small functions, and numbers as people read them."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

MINUS = "\N{MINUS SIGN}"
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
ABSENT = "\N{EN DASH}"


def escape(text: object) -> str:
    """Text that is safe between tags and in quoted attributes; control characters become visible."""
    raw = "".join(
        char if char in "\n\t" or char.isprintable() or char.isspace() else "\N{REPLACEMENT CHARACTER}"
        for char in str(text)
    )
    return html.escape(raw, quote=True)


def element(tag: str, *children: str, **attributes: object) -> str:
    """An element whose children are HTML already and whose attributes are not.

    `class_` is written `class`, and `_` in other names becomes `-`; None leaves an attribute out.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{written}>{''.join(children)}</{tag}>"


def section(identifier: str, heading: str, *children: str) -> str:
    """A part of the page with its heading."""
    title = element("h2", escape(heading), id=f"{identifier}-title")
    return element("section", title, *children, id=identifier, aria_labelledby=f"{identifier}-title")


def paragraph(text: str, kind: str | None = None) -> str:
    """A paragraph of plain text."""
    return element("p", escape(text), class_=kind)


def fold(summary: str, *children: str) -> str:
    """Something to open; `summary` is plain text."""
    return element("details", element("summary", escape(summary)), *children)


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], numeric: int = 1) -> str:
    """A table whose cells are HTML already.

    Args:
        caption: Plain text, read out before the table.
        heads: Plain texts of the columns.
        rows: As many cells a row as there are heads; the first names the row.
        numeric: From this column on, cells are numbers and stand to the right.
    """
    kinds = ["number" if place >= numeric else None for place in range(len(heads))]
    head = "".join(
        element("th", escape(text), scope="col", class_=kind) for text, kind in zip(heads, kinds, strict=True)
    )
    body = []
    for row in rows:
        cells = [element("th", row[0], scope="row")]
        cells += [element("td", cell, class_=kind) for cell, kind in zip(row[1:], kinds[1:], strict=True)]
        body.append(element("tr", *cells))
    inner = element("caption", escape(caption)) + element("thead", element("tr", head))
    whole = element("table", inner, element("tbody", *body))
    # A wide table scrolls within itself on a phone; the keyboard has to reach it there too.
    return element("div", whole, class_="wide", role="region", aria_label=caption, tabindex=0)


def number(value: float, digits: int = 2) -> str:
    """A number with a true minus sign and thousands apart."""
    text = f"{value:,.{digits}f}"
    if text.startswith("-"):
        text = text[1:] if not text.strip("-0.,") else MINUS + text[1:]
    return text


def signed(value: float, digits: int = 2) -> str:
    """A difference, always with its sign unless it rounds to nothing."""
    text = number(value, digits)
    return text if text.startswith(MINUS) or not text.strip("0.,") else f"+{text}"


def compact(value: float) -> str:
    """A setting such as a learning rate, short and exact."""
    return f"{value:.6g}".replace("e-0", "e-").replace("-", MINUS)


def plural(count: int, one: str, many: str = "") -> str:
    """`1 leaf`, `3 leaves`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
