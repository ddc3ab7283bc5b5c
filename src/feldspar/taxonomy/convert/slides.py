"""PowerPoint's .pptx to Markdown with python-pptx (MIT): a heading a slide, its text, tables and notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from feldspar.taxonomy.convert import web, zips
from feldspar.taxonomy.convert.outcome import Text, Unreadable

MAX_SLIDES = 2_000
_MAX_DEPTH = 20


def to_markdown(data: bytes) -> Text:
    """A presentation as Markdown; pictures and charts are left out, speakers' notes are not.

    Raises:
        Unreadable: No .pptx, or one that is not safe to read.
    """
    from pptx import Presentation

    parts = zips.entries(data, "PowerPoint file (.pptx)")
    if "[Content_Types].xml" not in parts:
        raise Unreadable("is no PowerPoint file (.pptx)", "save it as one")
    zips.check_xml(parts)
    slides = Presentation(zips.repacked(parts)).slides
    if len(slides) > MAX_SLIDES:
        what = f"has {len(slides):,} slides, more than the {MAX_SLIDES:,} that are read"
        raise Unreadable(what, "split it")
    blocks = [block for number, slide in enumerate(slides) for block in _slide(slide, first=number == 0)]
    return Text(web.tidy("\n\n".join(blocks)))


def _slide(slide: Any, first: bool) -> Iterator[str]:
    from pptx.enum.shapes import PP_PLACEHOLDER

    title = slide.shapes.title
    if title is not None and title.text_frame.text.strip():
        cover = first and title.placeholder_format.type == PP_PLACEHOLDER.CENTER_TITLE
        yield ("# " if cover else "## ") + " ".join(title.text_frame.text.split())
    kept = [shape for shape in slide.shapes if title is None or shape.shape_id != title.shape_id]
    yield from _shapes(kept, 0)
    if slide.has_notes_slide:
        frame = slide.notes_slide.notes_text_frame
        yield from (_plain(paragraph.text) for paragraph in (frame.paragraphs if frame is not None else ()))


def _shapes(shapes: Iterable[Any], depth: int) -> Iterator[str]:
    """Blocks of shapes, as they stand from top to bottom and from left to right."""
    from pptx.enum.shapes import MSO_SHAPE_TYPE, PP_PLACEHOLDER

    furniture = (PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.DATE)
    for shape in sorted(shapes, key=lambda shape: (shape.top or 0, shape.left or 0)):
        if shape.is_placeholder and shape.placeholder_format.type in furniture:
            continue
        if shape.shape_type == MSO_SHAPE_TYPE.GROUP:
            if depth < _MAX_DEPTH:
                yield from _shapes(shape.shapes, depth + 1)
        elif shape.has_text_frame:
            listed = shape.is_placeholder and shape.placeholder_format.type in (
                PP_PLACEHOLDER.BODY,
                PP_PLACEHOLDER.OBJECT,
                PP_PLACEHOLDER.VERTICAL_BODY,
                PP_PLACEHOLDER.VERTICAL_OBJECT,
            )
            yield from _text(shape.text_frame, listed)
        elif getattr(shape, "has_table", False):
            yield _table(shape.table)


def _text(frame: Any, listed: bool) -> Iterator[str]:
    """A frame's paragraphs: neighbouring ones with bullets or numbers as a list, else one block each."""
    items: list[str] = []
    number = 0
    for paragraph in frame.paragraphs:
        text = " ".join(paragraph.text.split())
        if not text:
            continue
        mark = _mark(paragraph, listed)
        number = number + 1 if mark == "1." else 0
        if mark:
            items.append(f"{'  ' * paragraph.level}{f'{number}.' if number else mark} {text}")
            continue
        if items:
            yield "\n".join(items)
            items = []
        yield _plain(text)
    if items:
        yield "\n".join(items)


def _mark(paragraph: Any, listed: bool) -> str:
    """What a paragraph begins with on the slide: `-` for a bullet, `1.` for a number, or nothing."""
    found = {child.tag.rpartition("}")[2] for child in paragraph._p.findall("{*}pPr/{*}*")}
    if "buAutoNum" in found:
        return "1."
    if "buNone" in found:
        return ""
    return "-" if listed or found & {"buChar", "buBlip"} else ""


def _plain(text: str) -> str:
    line = " ".join(text.split())
    return "\\" + line if line.startswith(("#", "```", "~~~", "|")) else line


def _table(table: Any) -> str:
    rows = [[" ".join(cell.text.split()).replace("|", "\\|") for cell in row.cells] for row in table.rows]
    if not rows:
        return ""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("---" for _ in rows[0]) + " |")
    return "\n".join(lines)
