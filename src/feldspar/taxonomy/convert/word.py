"""Word's .docx to Markdown: mammoth (BSD) reads styles, lists and tables, `web` writes Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feldspar.taxonomy.convert import web, zips
from feldspar.taxonomy.convert.outcome import Text, Unreadable

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

# Beyond mammoth's own: the title, and the styles that Word, pandoc and LibreOffice give to code.
_STYLES = """
p[style-name='Title'] => h1.document-title:fresh
p[style-name='Code'] => pre:separator('\\n')
p[style-name='Source Code'] => pre:separator('\\n')
p[style-name='HTML Preformatted'] => pre:separator('\\n')
p[style-name='Preformatted Text'] => pre:separator('\\n')
p[style-name='macro'] => pre:separator('\\n')
p[style-name='Macro Text'] => pre:separator('\\n')
r[style-name='Verbatim Char'] => code
r[style-name='HTML Code'] => code
p[style-name='Quote'] => blockquote > p:fresh
p[style-name='Intense Quote'] => blockquote > p:fresh
p[style-name='List Bullet'] => ul > li:fresh
p[style-name='List Bullet 2'] => ul|ol > li > ul > li:fresh
p[style-name='List Number'] => ol > li:fresh
p[style-name='List Number 2'] => ul|ol > li > ol > li:fresh
"""


def to_markdown(data: bytes) -> Text:
    """A Word file as Markdown; pictures, comments, headers and footers are left out.

    Raises:
        Unreadable: No .docx, or one that is not safe to read.
    """
    import mammoth

    parts = zips.entries(data, "Word file (.docx)")
    if "[Content_Types].xml" not in parts:
        raise Unreadable("is no Word file (.docx)", "save it as one")
    zips.check_xml(parts)
    result = mammoth.convert_to_html(
        zips.repacked(parts),
        style_map=_STYLES,
        include_embedded_style_map=False,
        external_file_access=False,
        convert_image=_words_of_image,
    )
    soup = web.parsed(result.value)
    _below_title(soup)
    return Text(web.markdown_of(soup))


def _words_of_image(image: object) -> list[object]:
    from mammoth import html

    alt = getattr(image, "alt_text", None)
    return [html.text(str(alt))] if alt else []


def _below_title(soup: BeautifulSoup) -> None:
    """Where the file has a title of its own, the headings stand below it."""
    if soup.find("h1", class_="document-title") is None:
        return
    for tag in soup.find_all(["h1", "h2", "h3", "h4", "h5"]):
        if "document-title" not in (tag.get("class") or []):
            tag.name = f"h{int(tag.name[1]) + 1}"
