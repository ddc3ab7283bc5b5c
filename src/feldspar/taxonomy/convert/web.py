"""HTML to Markdown: headings, paragraphs, lists, tables and code, as a reader of the page sees them.

lxml (BSD) and BeautifulSoup (MIT) parse, markdownify (MIT) writes. Left out:
scripts, styles, forms, hidden parts and what surrounds an article (navigation, banner, footer). Of a
link its words stay, of an image its alternative text: an address teaches nothing, and none is fetched.
"""

from __future__ import annotations

import codecs
import re
from html import escape
from typing import TYPE_CHECKING

from feldspar.taxonomy.convert import charsets
from feldspar.taxonomy.convert.outcome import Text, Unreadable

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

MAX_TAGS = 200_000
"""Of a page. A tag costs 30 µs and 1 kB here."""
MAX_DEPTH = 250
"""Tags within each other. markdownify takes three of Python's frames for each."""
_MAX_SPAN = 100
"""Columns or rows that one cell is taken to cover."""

_DROPPED = (
    "script style noscript template iframe object embed applet svg canvas audio video map nav form button "
    "select textarea input dialog menu frameset head link meta"
).split()
_ROLES = ("navigation", "banner", "contentinfo", "search", "complementary", "menu", "menubar", "dialog")
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_DECLARED = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w:.-]{1,40})""", re.IGNORECASE)
# What a page may declare. Python's list of codecs holds others, some of which are no encodings.
_ENCODINGS = re.compile(
    r"(windows-?125\d|cp125\d|iso-?8859-?\d{1,2}|latin-?1|us-ascii|koi8-[ru]|macintosh|gbk|gb2312|gb18030|"
    r"big5(-hkscs)?|euc-(jp|kr)|shift[_-]jis|windows-(31j|874)|iso-2022-jp|utf-8|utf8)",
    re.IGNORECASE,
)


def to_markdown(data: bytes) -> Text:
    """A page as Markdown.

    Raises:
        Unreadable: Its encoding cannot be told, or it has more tags than are read.
    """
    html = _decoded(data)
    return Text(page_to_markdown(html.text), html.notes)


def page_to_markdown(html: str) -> str:
    """A page as Markdown, without what surrounds its article."""
    soup = parsed(html)
    _without_chrome(soup)
    return markdown_of(soup)


def parsed(html: str) -> BeautifulSoup:
    """A page as a tree, with lxml's HTML parser, which closes what authors leave open and fetches nothing.

    Raises:
        Unreadable: More tags than are read, or nested too deep.
    """
    from bs4 import BeautifulSoup
    from bs4.element import PreformattedString

    tags = html.count("<")
    if tags > MAX_TAGS:
        mend = "split it, or keep the part that matters"
        raise Unreadable(f"has about {tags:,} tags, more than the {MAX_TAGS:,} that are read", mend)
    soup = BeautifulSoup(_without_cdata(html), "lxml")
    depths = {id(soup): 0}
    for tag in soup.find_all(True):
        depths[id(tag)] = depths[id(tag.parent)] + 1
        if depths[id(tag)] > MAX_DEPTH:
            raise Unreadable(f"is nested over {MAX_DEPTH} deep", "save it anew, or as Markdown")
    for node in soup.find_all(string=lambda text: isinstance(text, PreformattedString)):
        node.extract()  # comments, declarations, <?xml …?>
    return soup


def _without_cdata(html: str) -> str:
    """Literal text, as XHTML has it and HTML has not, written as HTML."""
    pieces = []
    at = 0
    while (start := html.find("<![CDATA[", at)) >= 0 and (end := html.find("]]>", start)) >= 0:
        pieces += [html[at:start], escape(html[start + 9 : end])]
        at = end + 3
    return "".join([*pieces, html[at:]])


def markdown_of(soup: BeautifulSoup) -> str:
    """The Markdown of a tree, which is changed."""
    from markdownify import MarkdownConverter

    class Converter(MarkdownConverter):
        """As markdownify, with links and images as their words, and nothing that looks like a heading."""

        def convert_a(self, el: Tag, text: str, parent_tags: set[str]) -> str:
            return text

        def convert_img(self, el: Tag, text: str, parent_tags: set[str]) -> str:
            return " ".join(str(el.get("alt") or "").split())

        def convert_sup(self, el: Tag, text: str, parent_tags: set[str]) -> str:
            if el.find("a") is not None:  # the mark of a footnote
                return ""
            return f"^{text}" if re.match(r"[-+−\d]", text) else text

        def convert_q(self, el: Tag, text: str, parent_tags: set[str]) -> str:
            return f"“{text}”"

        def escape(self, text: str, parent_tags: set[str]) -> str:
            text = re.sub(r"(?m)^(\s*)(#{1,6}(?:\s|$)|```|~~~|\|)", r"\1\\\2", text)
            return text.replace("|", "\\|") if parent_tags & {"td", "th"} else text

    _flatten_tables(soup)
    for item in soup.find_all("ol", start=True):
        if not re.fullmatch(r"[0-9]{1,6}", str(item["start"])):
            del item["start"]
    return tidy(
        Converter(
            heading_style="atx",
            bullets="-",
            strong_em_symbol="",
            newline_style="backslash",
            table_infer_header=True,
            code_language_callback=_language,
        ).convert_soup(soup)
    )


def tidy(markdown: str) -> str:
    """Without blanks at line ends, hard line breaks and more than one empty line in a row; fences apart."""
    kept: list[str] = []
    fence = ""
    for line in markdown.split("\n"):
        bare = line.strip()
        if bare.startswith("```") and (not fence or set(bare) == {"`"}):
            fence = "" if fence else "```"
        if not fence:
            line = line.removesuffix("\\").rstrip()
            if not line and (not kept or not kept[-1]):
                continue
        kept.append(line)
    return "\n".join(kept).strip("\n")


def _decoded(data: bytes) -> Text:
    marked = data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    declared = None if marked else _DECLARED.search(data[:4096])
    name = declared.group(1).decode("ascii") if declared else ""
    if _ENCODINGS.fullmatch(name) and b"\0" not in data:
        # As browsers do: what calls itself Latin-1 is windows-1252.
        latin = name.casefold() in ("iso-8859-1", "iso8859-1", "latin1", "latin-1", "us-ascii")
        try:
            return Text(data.decode("cp1252" if latin else name), ())
        except (UnicodeDecodeError, LookupError):
            pass
    return charsets.read(data)


def _without_chrome(soup: BeautifulSoup) -> None:
    """Take out what is no part of the article; the page's own main part, where it names one, is kept."""
    for tag in soup.find_all(_DROPPED):
        tag.decompose()
    for tag in [
        *soup.find_all(role=_ROLES),
        *soup.find_all(hidden=True),
        *soup.find_all(None, {"aria-hidden": "true"}),
        *soup.find_all(style=_HIDDEN),
    ]:
        tag.decompose()
    for tag in soup.find_all(["header", "footer", "aside"]):
        if tag.find_parent(["article", "main"]) is None and tag.find("h1") is None:
            tag.decompose()
    main = soup.find_all("main") or soup.find_all(role="main") or soup.find_all("article")
    if len(main) == 1 and len(main[0].get_text()) * 2 > len(soup.get_text()):
        title = soup.find("h1")
        inside = main[0].find("h1") is not None or title is None
        kept = main[0].extract()
        soup.clear()
        if not inside and title is not None:
            soup.append(title)
        soup.append(kept)


def _flatten_tables(soup: BeautifulSoup) -> None:
    """Tables that lay out a page become its parts; a cell over several rows leaves its place empty below."""
    for table in soup.find_all("table"):
        if table.find("table") or table.get("role") == "presentation" or table.find(["h1", "h2", "h3"]):
            for part in [table, *table.find_all(["tbody", "thead", "tfoot", "tr", "td", "th"])]:
                if part.find_parent("table") in (table, None) or part is table:
                    part.name = "div"
    for table in soup.find_all("table"):
        covered: dict[int, int] = {}
        for row in table.find_all("tr"):
            _fill_row(soup, row, covered)


def _fill_row(soup: BeautifulSoup, row: Tag, covered: dict[int, int]) -> None:
    """Put empty cells where cells of the rows above reach into this one; `covered` is rows left by column."""
    column = 0
    for cell in row.find_all(["td", "th"], recursive=False):
        while covered.get(column, 0) > 0:
            cell.insert_before(soup.new_tag("td"))
            covered[column] -= 1
            column += 1
        wide, high = (_span(cell, name) for name in ("colspan", "rowspan"))
        cell["colspan"] = str(wide)
        for place in range(column, min(column + wide, _MAX_SPAN)):
            covered[place] = high - 1
        column += wide
    for place in sorted(covered):
        if place >= column and covered[place] > 0:
            row.append(soup.new_tag("td"))
            covered[place] -= 1


def _span(cell: Tag, name: str) -> int:
    told = str(cell.get(name) or "1")
    return min(_MAX_SPAN, max(1, int(told))) if re.fullmatch(r"[0-9]{1,6}", told) else 1


def _language(tag: Tag) -> str:
    """The language of a code block, where its class names it."""
    code = tag.find("code") or tag
    found = re.search(r"\blang(?:uage)?-([A-Za-z0-9+#]{1,20})", str(code.get("class") or ""))
    return found.group(1) if found else ""
