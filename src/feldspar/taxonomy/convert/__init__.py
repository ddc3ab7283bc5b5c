"""From a document's bytes to its text: Markdown and text as they are, all else converted to Markdown.

HTML, Word, PowerPoint, EPUB and PDF are read by libraries that do one thing each (BeautifulSoup, lxml
and markdownify, mammoth, python-pptx, pypdfium2): 60 MB installed, and 0.1 to 0.3 s and 30 to 50 MB for
a small file, the child's start included. markitdown puts the same ones behind one call, but guesses the
type of each file with a neural network: 230 MB installed, 0.5 s and 110 MB to import, and its PDFs have
neither headings nor lists nor tables.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path, PurePosixPath

from feldspar.taxonomy.convert import cache as kept
from feldspar.taxonomy.convert import charsets, process
from feldspar.taxonomy.convert.outcome import Text, Unreadable

__all__ = ["SUFFIXES", "Text", "Unreadable", "to_text"]

_AS_IT_IS = (".md", ".markdown", ".txt", ".rst")
_CONVERTED = {
    ".html": ("html", ("bs4", "lxml", "markdownify")),
    ".htm": ("html", ("bs4", "lxml", "markdownify")),
    ".pdf": ("pdf", ("pypdfium2",)),
    ".docx": ("docx", ("mammoth", "bs4", "lxml", "markdownify")),
    ".pptx": ("pptx", ("pptx",)),
    ".epub": ("epub", ("bs4", "lxml", "markdownify")),
}
"""By suffix: the format, and the packages that read it."""

SUFFIXES: tuple[str, ...] = (*_AS_IT_IS, *_CONVERTED)

INSTALL = 'pip install "feldspar[documents]"'


def to_text(name: str, data: bytes, cache: Path | None = None) -> Text:
    """A document's text.

    Args:
        name: Its path; the suffix tells the format.
        data: Its bytes.
        cache: A folder of the user's own, where converted texts are kept by the digest of their bytes.

    Returns:
        Markdown; text and reStructuredText as they are. With `\\n` as line end.

    Raises:
        Unreadable: With what is wrong, as the end of a sentence whose subject is the document.
    """
    suffix = PurePosixPath(name).suffix.casefold()
    if suffix in _AS_IT_IS:
        return charsets.decode(data)
    if suffix not in _CONVERTED:
        raise Unreadable(f"is none of {', '.join(SUFFIXES)}", "convert it to Markdown or plain text")
    kind, packages = _CONVERTED[suffix]
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise Unreadable(f"cannot be read: the package that reads {suffix} is not installed", INSTALL)
    if cache is None:
        return process.convert(kind, data)
    place = kept.place(cache, data, kind, packages)
    text = kept.load(place)
    if text is None:
        text = process.convert(kind, data)
        kept.save(place, text)
    return text
