"""PDF to Markdown: pypdfium2 (BSD, Apache) gives characters with their places, `layout` reads the page.

PDFium is built without JavaScript and XFA; attachments, forms and annotations are not looked at.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from typing import Any

from feldspar.taxonomy.convert import layout
from feldspar.taxonomy.convert.outcome import Text, Unreadable
from feldspar.taxonomy.convert.page import Page, Piece

MAX_PAGES = 3_000
OCR = 'pip install "feldspar[ocr]"'

_WORD = re.compile(r"[^\s\ufffe]+(?:\ufffe)?")
_WIDE = 0.9
"""A gap between words, in font sizes, that a blank never has: it parts cells and columns."""
_BOLD = re.compile(r"bold|black|heavy|semibold|demi(?!cond)", re.IGNORECASE)
_MONO = re.compile(r"mono|monl|courier|consol|menlo|typewriter|(cm|sf|ec)tt|inconsolata|fixed", re.IGNORECASE)
_FIXED_PITCH = 1
_UNKNOWN = re.compile(r"[\ue000-\uf8ff\ufffd]")


def to_markdown(data: bytes) -> Text:
    """A PDF's text layer as Markdown.

    Raises:
        Unreadable: No PDF, an encrypted one, one without a text layer, or one with too many pages.
    """
    import pypdfium2
    from pypdfium2 import raw

    if b"%PDF-" not in data[:1024]:
        raise Unreadable("is no PDF", "save it as one, or name it by what it is")
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError:
        if raw.FPDF_GetLastError() == raw.FPDF_ERR_PASSWORD:
            raise Unreadable("is an encrypted PDF", "save it without a password") from None
        raise Unreadable("is a damaged PDF", "save it anew") from None
    count = len(document)
    if count > MAX_PAGES:
        what = f"has {count:,} pages, more than the {MAX_PAGES:,} that are read"
        raise Unreadable(what, "split it")
    pages = []
    damaged = 0
    for number in range(count):
        try:
            pages.append(_page(document, number))
        except pypdfium2.PdfiumError:
            damaged += 1
    if damaged == count:
        raise Unreadable("is a damaged PDF: none of its pages can be read", "save it anew")
    return _told(pages, damaged)


def _told(pages: list[Page], damaged: int) -> Text:
    empty = sum(not page.pieces for page in pages)
    mend = f"for OCR, {OCR}, then `docling --to md FILE.pdf`, and name the .md that it writes"
    if empty == len(pages):
        raise Unreadable("is a PDF without a text layer: its pages are pictures", mend)
    letters = unknown = 0
    for page in pages:
        for piece in page.pieces:
            letters += len(piece.text)
            unknown += len(_UNKNOWN.findall(piece.text))
    if unknown > 0.3 * letters:
        raise Unreadable("is a PDF whose fonts do not say which letters they show", mend)
    notes = []
    if damaged:
        notes.append(f"has {damaged:,} damaged pages, which are left out: save it anew")
    if empty:
        told = f"has {empty:,} pages of {len(pages):,} without text, which are left out"
        notes.append(f"{told}: if they are scans, read them by OCR, with {OCR}")
    return Text(layout.to_markdown(pages), tuple(notes))


def _page(document: Any, number: int) -> Page:
    """A page's pieces in the order of its content, which is the reading order in all but odd PDFs."""
    from pypdfium2 import raw

    page = document[number]
    try:
        left, bottom, right, top = page.get_bbox()
        turned = page.get_rotation()
        text_page = page.get_textpage()
        try:
            pieces = tuple(_pieces(raw, text_page.raw, turned))
        finally:
            text_page.close()
    finally:
        page.close()
    if not turned:  # what lies beyond the page is not seen by its reader
        pieces = tuple(
            piece
            for piece in pieces
            if left - 1 <= piece.x1 and piece.x0 <= right + 1 and bottom - 1 <= piece.top <= top + piece.size
        )
    height = right - left if turned in (90, 270) else top - bottom
    base = {0: bottom, 90: -right, 180: -top, 270: left}[turned]
    return Page(base, height, pieces)


def _pieces(raw: Any, handle: Any, turned: int) -> Iterator[Piece]:
    """Runs of words on one line without a wide gap between them."""
    text, index = _text(raw, handle)
    look = _Look(raw, handle, turned)
    start = 0
    for line in re.finditer(r"[^\r\n\ufffe]*\ufffe?", text):
        start = line.start()
        words = [(start + word.start(), start + word.end()) for word in _WORD.finditer(line.group())]
        if words:
            yield from _line(text, words, index, look)


def _line(
    text: str, words: list[tuple[int, int]], index: Callable[[int], int], look: _Look
) -> Iterator[Piece]:
    # A line's style is that of its words: a bullet or a number that stands first is often larger.
    worded = [a for a, b in words if any(letter.isalpha() for letter in text[a:b])] or [words[0][0]]
    size, bold, mono, upright = look.style(index(worded[0]))
    if not upright:
        return
    other = look.style(index(worded[len(worded) // 2]))
    size, bold, mono = max(size, other[0]), bold and other[1], mono and other[2]
    boxes = [(look.box(index(a)), look.box(index(b - 1))) for a, b in words]
    first = 0
    for number in range(1, len(words) + 1):
        wide = number < len(words) and boxes[number][0][0] - boxes[number - 1][1][2] > _WIDE * size
        back = number < len(words) and boxes[number][0][0] < boxes[number - 1][0][0] - size
        if number == len(words) or wide or back:
            kept = boxes[first:number]
            told = " ".join(text[a:b] for a, b in words[first:number])
            yield Piece(
                text=told,
                x0=kept[0][0][0],
                x1=max(box[1][2] for box in kept),
                bottom=min(min(box[0][1], box[1][1]) for box in kept),
                top=max(max(box[0][3], box[1][3]) for box in kept),
                size=size,
                bold=bold,
                mono=mono,
            )
            first = number


def _text(raw: Any, handle: Any) -> tuple[str, Callable[[int], int]]:
    """A page's text, and the way from a place in it to PDFium's number of the character."""
    count = raw.FPDFText_CountChars(handle)
    if count <= 0:
        return "", int
    buffer = (ctypes.c_ushort * (2 * count + 2))()
    written = raw.FPDFText_GetText(handle, 0, count, buffer)
    units = bytes(memoryview(buffer).cast("B")[: 2 * max(0, written - 1)])
    text = units.decode("utf-16-le", "replace")
    if len(text) == count == len(units) // 2:
        return text, int
    # Characters beyond 16 bits take two units each; those without a meaning are not in the text at all.
    at: list[int] = []
    unit = 0
    for letter in text:
        at.append(max(0, raw.FPDFText_GetCharIndexFromTextIndex(handle, unit)))
        unit += 2 if letter > "\uffff" else 1
    return text, at.__getitem__


class _Look:
    """A text page's boxes and styles, with the buffers that PDFium writes to made once."""

    def __init__(self, raw: Any, handle: Any, turned: int) -> None:
        self._raw = raw
        self._handle = handle
        self._turned = turned
        self._rect = raw.FS_RECTF()
        self._matrix = raw.FS_MATRIX()
        self._name = ctypes.create_string_buffer(128)
        self._flags = ctypes.c_int()

    def box(self, index: int) -> tuple[float, float, float, float]:
        """Left, bottom, right and top of a character, as one sees it on the upright page."""
        rect = self._rect
        self._raw.FPDFText_GetLooseCharBox(self._handle, index, ctypes.byref(rect))
        left, right = sorted((rect.left, rect.right))
        bottom, top = sorted((rect.bottom, rect.top))
        if self._turned == 90:
            return bottom, -right, top, -left
        if self._turned == 180:
            return -right, -top, -left, -bottom
        if self._turned == 270:
            return -top, left, -bottom, right
        return left, bottom, right, top

    def style(self, index: int) -> tuple[float, bool, bool, bool]:
        """Size in points, and whether bold, of fixed width, and upright."""
        raw, handle, matrix = self._raw, self._handle, self._matrix
        raw.FPDFText_GetMatrix(handle, index, ctypes.byref(matrix))
        across, along = (matrix.a, matrix.b) if self._turned in (0, 180) else (matrix.b, matrix.a)
        upright = abs(along) <= 0.2 * abs(across) or (across == 0 and along == 0)
        scale = (matrix.c**2 + matrix.d**2) ** 0.5 or 1.0
        size = raw.FPDFText_GetFontSize(handle, index) * scale
        raw.FPDFText_GetFontInfo(handle, index, self._name, 128, ctypes.byref(self._flags))
        name = self._name.value.decode("utf-8", "replace")
        mono = bool(_MONO.search(name)) or bool(self._flags.value & _FIXED_PITCH)
        return round(size * 2) / 2, bool(_BOLD.search(name)), mono, upright
