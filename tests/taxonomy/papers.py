"""One document as Markdown, HTML, Word, PowerPoint, EPUB and PDF, made by the writers people use."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from html import escape
from typing import Any

Block = tuple[str, Any]
"""`h1` to `h3` and `p` with a text, `ul` and `ol` with items, `table` with rows, `code` with a text."""

PROSE = (
    "Orrin is an island of nine square kilometres in the northern sea. Its people have lived from herring "
    "since the lighthouse was built, and every family owns a share of a boat. The ferry from the mainland "
    "takes four hours when the wind is kind and seven when it is not."
)
ISLAND: tuple[Block, ...] = (
    ("h1", "The island of Orrin"),
    ("p", PROSE),
    ("p", "A second paragraph says that the school has eleven pupils, two teachers and a very old bell."),
    ("h2", "Boats and their gear"),
    ("p", "The boats are painted blue below the rail. Each of them carries the following things:"),
    ("ul", ["two nets of hemp", "oars of ash wood that were cut on the mainland", "a lamp with spare oil"]),
    ("table", [["Boat", "Built", "Home"], ["Vell", "1907", "north quay"], ["Mora", "1911", "south quay"]]),
    ("h3", "How a net is mended"),
    ("ol", ["Hang it between two posts.", "Find the torn knots.", "Tie new ones from the left."]),
    ("h2", "The weather station"),
    ("p", "The station prints its readings at six in the morning and at six in the evening."),
    ("code", "read --station orrin\nfor hour in 6 18\n    print hour"),
    ("p", "Nobody has missed a reading since nineteen hundred and fifty, the keeper says with some pride."),
)


def markdown(blocks: tuple[Block, ...]) -> bytes:
    return "\n\n".join(_markdown(kind, value) for kind, value in blocks).encode() + b"\n"


def _markdown(kind: str, value: Any) -> str:
    if kind.startswith("h"):
        return "#" * int(kind[1]) + " " + value
    if kind == "ul":
        return "\n".join(f"- {item}" for item in value)
    if kind == "ol":
        return "\n".join(f"{number}. {item}" for number, item in enumerate(value, 1))
    if kind == "table":
        rows = ["| " + " | ".join(row) + " |" for row in value]
        return "\n".join([rows[0], "|" + "---|" * len(value[0]), *rows[1:]])
    return f"```\n{value}\n```" if kind == "code" else value


def html(blocks: tuple[Block, ...]) -> bytes:
    body = "\n".join(_html(kind, value) for kind, value in blocks)
    return f"<!doctype html><html><head><title>x</title></head><body>{body}</body></html>".encode()


def _html(kind: str, value: Any) -> str:
    if kind in ("ul", "ol"):
        return f"<{kind}>" + "".join(f"<li>{escape(item)}</li>" for item in value) + f"</{kind}>"
    if kind == "table":
        rows = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in value]
        return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"
    if kind == "code":
        return f"<pre><code>{escape(value)}</code></pre>"
    return f"<{kind}>{escape(value)}</{kind}>"


CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
    '<rootfile full-path="book/content.opf" media-type="application/oebps-package+xml"/>'
    "</rootfiles></container>"
)
PACKAGE = (
    '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><manifest>'
    '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
    '<item id="one" href="chapter%20one.xhtml" media-type="application/xhtml+xml"/>'
    '</manifest><spine><itemref idref="nav"/><itemref idref="one"/></spine></package>'
)


def epub(blocks: tuple[Block, ...]) -> bytes:
    body = "\n".join(_html(kind, value) for kind, value in blocks)
    page = (
        '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n'
        f'<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head><body>{body}</body></html>'
    )
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": CONTAINER,
            "book/content.opf": PACKAGE,
            "book/nav.xhtml": "<html><body><p>Contents</p><nav>One</nav></body></html>",
            "book/chapter one.xhtml": page,
        }
    )


def zipped(parts: dict[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def docx(blocks: tuple[Block, ...]) -> bytes:
    import docx as library

    document = library.Document()
    document.styles.add_style("Source Code", library.enum.style.WD_STYLE_TYPE.PARAGRAPH)
    for kind, value in blocks:
        if kind.startswith("h"):
            document.add_heading(value, int(kind[1]))
        elif kind in ("ul", "ol"):
            for item in value:
                document.add_paragraph(item, style="List Bullet" if kind == "ul" else "List Number")
        elif kind == "table":
            table = document.add_table(rows=len(value), cols=len(value[0]))
            for row, cells in zip(table.rows, value, strict=True):
                for cell, text in zip(row.cells, cells, strict=True):
                    cell.text = text
        elif kind == "code":
            for line in value.split("\n"):
                document.add_paragraph(line, style="Source Code")
        else:
            document.add_paragraph(value)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def pdf(blocks: tuple[Block, ...], title: str = "", columns: int = 1, **encryption: str) -> bytes:
    """With a running title and page numbers where `title` is given."""
    from reportlab.lib.pagesizes import A4, A5
    from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate

    width, height = A5 if columns == 1 else A4
    wide = (width - 100) / columns
    frames = [Frame(50 + wide * n, 60, wide, height - 120, id=str(n)) for n in range(columns)]

    def edges(canvas: Any, document: Any) -> None:
        if title:
            canvas.setFont("Helvetica", 8)
            canvas.drawString(50, height - 35, title)
            canvas.drawString(width / 2, 30, f"Page {document.page}")

    file = io.BytesIO()
    document = BaseDocTemplate(file, pagesize=(width, height), **encryption)
    document.addPageTemplates(PageTemplate(frames=frames, onPage=edges))
    document.build(list(_flowables(blocks)))
    return file.getvalue()


def _flowables(blocks: tuple[Block, ...]) -> Iterator[Any]:
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import ListFlowable, ListItem, Paragraph, Preformatted, Table

    styles = getSampleStyleSheet()
    body = styles["BodyText"]
    for kind, value in blocks:
        if kind.startswith("h"):
            yield Paragraph(escape(value), styles[f"Heading{kind[1]}"])
        elif kind in ("ul", "ol"):
            shape = {"bulletType": "bullet", "start": "•"} if kind == "ul" else {"bulletFormat": "%s."}
            yield ListFlowable([ListItem(Paragraph(escape(item), body)) for item in value], **shape)
        elif kind == "table":
            yield Table(value)
        elif kind == "code":
            yield Preformatted(value, styles["Code"])
        else:
            yield Paragraph(escape(value), body)


def pptx(blocks: tuple[Block, ...]) -> bytes:
    """A slide for each heading, with what stands below it."""
    import pptx as library
    from pptx.oxml import parse_xml
    from pptx.util import Inches

    deck = library.Presentation()
    slide: Any = None
    for kind, value in blocks:
        if kind.startswith("h"):
            slide = deck.slides.add_slide(deck.slide_layouts[5])
            slide.shapes.title.text = value
            top = 2.0
        elif kind == "table":
            table = slide.shapes.add_table(
                len(value), len(value[0]), Inches(1), Inches(top), Inches(6), Inches(1)
            ).table
            for row, cells in enumerate(value):
                for column, text in enumerate(cells):
                    table.cell(row, column).text = text
        else:
            box = slide.shapes.add_textbox(Inches(1), Inches(top), Inches(6), Inches(1))
            box.text_frame.text = "\n".join(value) if isinstance(value, list) else value
            for paragraph in box.text_frame.paragraphs if isinstance(value, list) else ():
                mark = "<a:buAutoNum type='arabicPeriod'/>" if kind == "ol" else "<a:buChar char='•'/>"
                space = "xmlns:a='http://schemas.openxmlformats.org/drawingml/2006/main'"
                paragraph._p.get_or_add_pPr().append(parse_xml(mark.replace("/>", f" {space}/>")))
        top += 1.0
    file = io.BytesIO()
    deck.save(file)
    return file.getvalue()
