"""EPUB to Markdown: the chapters in the order of the book's spine, each a page of HTML (`web`).

The container is read with the standard library: the permissive EPUB readers do no more than this, and
ebooklib is AGPL.
"""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

from feldspar.taxonomy.convert import web, zips
from feldspar.taxonomy.convert.outcome import Text, Unreadable

_CONTAINER = "META-INF/container.xml"
_PAGES = ("application/xhtml+xml", "text/html", "text/x-oeb1-document")


def to_markdown(data: bytes) -> Text:
    """A book as Markdown; its table of contents and what its spine calls auxiliary are left out.

    Raises:
        Unreadable: No EPUB, one under DRM, or one that is not safe to read.
    """
    parts = zips.entries(data, "EPUB book")
    if _CONTAINER not in parts:
        raise Unreadable("is no EPUB book", "save it as one")
    zips.check_xml(parts, doctypes=True)
    chapters = _chapters(parts)
    locked = _locked(parts)
    if locked & set(chapters):
        raise Unreadable("is encrypted (DRM)", "name a copy without it, if you have the right to")
    pages = [web.to_markdown(parts[name]) for name in chapters]
    notes = tuple(dict.fromkeys(note for page in pages for note in page.notes))
    return Text("\n\n".join(page.text for page in pages if page.text), notes)


def _chapters(parts: dict[str, bytes]) -> list[str]:
    """The parts that the spine names, in its order; those that are missing are left out."""
    container = zips.tree(_CONTAINER, parts[_CONTAINER])
    name = next((str(node.get("full-path", "")) for node in container.findall(".//{*}rootfile")), "")
    if not parts.get(name):
        raise Unreadable("is no EPUB book: it names no package", "save it anew")
    package = zips.tree(name, parts[name])
    items = {str(item.get("id", "")): item for item in package.findall(".//{*}item")}
    folder = posixpath.dirname(name)
    chapters: dict[str, None] = {}
    for reference in package.findall(".//{*}itemref"):
        item = items.get(str(reference.get("idref", "")))
        if item is None or reference.get("linear") == "no" or item.get("media-type") not in _PAGES:
            continue
        if "nav" in str(item.get("properties", "")).split():
            continue
        path = posixpath.normpath(posixpath.join(folder, unquote(str(item.get("href", "")))))
        if parts.get(path):
            chapters[path] = None
    return list(chapters)


def _locked(parts: dict[str, bytes]) -> set[str]:
    """The parts that are encrypted; fonts are in many books without DRM."""
    name = "META-INF/encryption.xml"
    if not parts.get(name):
        return set()
    return {
        posixpath.normpath(unquote(str(node.get("URI", ""))))
        for node in zips.tree(name, parts[name]).findall(".//{*}CipherReference")
    }
