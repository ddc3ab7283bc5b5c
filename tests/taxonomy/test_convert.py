"""HTML, Word, PowerPoint, EPUB and PDF to Markdown: the same document gives passages of the same words."""

from __future__ import annotations

import importlib.util
import os
import random
import stat
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import pytest
from tests.taxonomy import papers
from tests.taxonomy.papers import ISLAND, PROSE, Block

from feldspar.taxonomy import convert
from feldspar.taxonomy.convert import SUFFIXES, Text, Unreadable, layout, process, to_text
from feldspar.taxonomy.convert.page import Page, Piece
from feldspar.taxonomy.passages import passages
from feldspar.text import words
from feldspar.types import Document

WRITERS = {
    "a.md": papers.markdown,
    "a.txt": papers.markdown,
    "a.html": papers.html,
    "a.docx": papers.docx,
    "a.epub": papers.epub,
    "a.pdf": papers.pdf,
}
Cut = list[tuple[tuple[str, ...], list[str]]]


def cut(name: str, text: str, limit: int = 60) -> Cut:
    """Heading and words of each passage."""
    found = passages(Document(name, text), lambda part: len(words(part)), limit)
    for passage in found:
        assert text[passage.start : passage.end] == passage.text
    return [(passage.heading, words(passage.text)) for passage in found]


def all_words(found: Cut) -> list[str]:
    return [word for _, part in found for word in part]


def ends(found: Cut) -> set[int]:
    """Where the passages end, counted in words."""
    return set(accumulate(len(part) for _, part in found))


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_document_gives_the_same_passages(name: str) -> None:
    text = to_text(name, WRITERS[name](ISLAND))
    assert text.notes == ()
    for limit in (15, 40, 80, 1000):
        assert cut(name, text.text, limit) == cut("a.md", papers.markdown(ISLAND).decode(), limit)


def test_a_presentation_gives_the_same_words_below_a_heading_a_slide() -> None:
    found = cut("a.pptx", to_text("a.pptx", papers.pptx(ISLAND)).text)
    expected = cut("a.md", papers.markdown(ISLAND).decode())
    assert all_words(found) == all_words(expected)
    assert [part for _, part in found] == [part for _, part in expected]
    assert {title for title, _ in found} == {(titles[-1],) for titles, _ in expected}


VOCABULARY = (
    "island ferry harbour net oar lamp bell school teacher herring wind lighthouse storm keeper reading "
    "station rope quay sail tide anchor village market winter spring share family boat repair mainland "
    "settlement governor municipality investigation responsibilities notwithstanding co-operative long-term"
).split()


def invented(seed: int, columns: int = 4) -> tuple[Block, ...]:
    """A document of thirty blocks or so, of words drawn by chance."""
    chance = random.Random(seed)

    def some(least: int, most: int) -> str:
        return " ".join(chance.choices(VOCABULARY, k=chance.randint(least, most)))

    def prose() -> str:
        return " ".join(
            some(4, 18).capitalize() + chance.choice("...?!") for _ in range(chance.randint(1, 5))
        )

    blocks: list[Block] = [("h1", some(2, 4)), ("p", prose())]
    for _ in range(30):
        kind = chance.choice(["p"] * 6 + ["h2", "h3", "ul", "ol", "table", "code"])
        if kind == "p" or kind == blocks[-1][0]:
            blocks.append(("p", prose()))
        elif kind.startswith("h"):
            blocks += [(kind, some(1, 5).capitalize()), ("p", prose())]
        elif kind == "table":
            wide = chance.randint(2, columns)
            rows = [[some(1, 2)[:18] for _ in range(wide)] for _ in range(chance.randint(3, 6))]
            blocks.append((kind, rows))
        elif kind == "code":
            lines = [" " * 4 * (n % 2) + some(3, 3)[:28] for n in range(chance.randint(2, 5))]
            blocks.append((kind, "\n".join(lines)))
        else:
            blocks.append((kind, [some(2, 14) for _ in range(chance.randint(2, 5))]))
    return (*blocks, ("p", prose()))


@pytest.mark.parametrize("columns", [1, 2])
def test_pdfs_of_several_pages_keep_words_headings_and_boundaries(columns: int) -> None:
    """Within the process, for speed. A paragraph that a page's end parts after a full stop stays parted."""
    from feldspar.taxonomy.convert import pdf

    kept = every = 0
    for seed in range(12):
        blocks = invented(seed, 4 if columns == 1 else 2)
        data = papers.pdf(blocks, title="A running title", columns=columns)
        found = cut("a.pdf", pdf.to_markdown(data).text)
        expected = cut("a.md", papers.markdown(blocks).decode())
        assert all_words(found) == all_words(expected)
        assert list(dict.fromkeys(title for title, _ in found)) == list(
            dict.fromkeys(title for title, _ in expected)
        )
        kept += len(ends(found) & ends(expected))
        every += len(ends(expected))
    assert kept / every >= 0.99


def test_word_files_keep_every_passage() -> None:
    for seed in range(3):
        blocks = invented(seed)
        found = cut("a.docx", to_text("a.docx", papers.docx(blocks)).text)
        assert found == cut("a.md", papers.markdown(blocks).decode())


# PDF


def test_running_titles_and_page_numbers_are_left_out() -> None:
    blocks = tuple(("p", f"{PROSE} Paragraph {number} ends.") for number in range(30))
    text = to_text("a.pdf", papers.pdf(blocks, title="The running title")).text
    assert "running title" not in text
    assert "Page" not in text
    assert text == "\n\n".join(text for _, text in blocks)


def line(text: str, top: float, x0: float = 50, size: float = 10, **style: bool) -> Piece:
    return Piece(text, x0, x0 + len(text) * size / 2, top - size, top, size, **style)


def page(*lines: Piece, height: float = 800) -> Page:
    return Page(0, height, lines)


def test_what_stands_at_one_height_of_both_pages_edges_is_left_out() -> None:
    def numbered(number: int) -> Page:
        foot = line(f"Orrin and its boats, {number}", 30)
        return page(line("Orrin and its boats", 780, size=9), line(f"Words of side {number}.", 600), foot)

    assert layout.to_markdown([numbered(1), numbered(2)]) == "Words of side 1.\n\nWords of side 2."
    assert "boats, 1" in layout.to_markdown([numbered(1)])


def test_hyphens_at_line_ends() -> None:
    lines = [
        "It is inter\ufffe",
        "national and well\ufffe",
        "known. A well-known Anglo-",
        "Saxon of 1990-",
        "1995 said ﬁsh and soft\xad",
        "ware.",
    ]
    found = layout.to_markdown([page(*(line(text, 600 - 12 * n) for n, text in enumerate(lines)))])
    assert found == (
        "It is international and well-known. A well-known Anglo-Saxon of 1990- 1995 said fish and software."
    )


def test_headings_by_size_and_bold_lines() -> None:
    found = layout.to_markdown(
        [
            page(
                line("Orrin", 700, size=20),
                line("An island", 660, size=14),
                line("It is an island of some size and of many words.", 640),
                line("Boats", 610, bold=True),
                line("The boats are blue, as everybody here will say.", 590),
                line("# not a heading", 560),
            )
        ]
    )
    assert found == (
        "# Orrin\n\n## An island\n\nIt is an island of some size and of many words.\n\n### Boats\n\n"
        "The boats are blue, as everybody here will say.\n\n\\# not a heading"
    )


def test_lists_of_two_levels_with_lines_that_go_on() -> None:
    found = layout.to_markdown(
        [
            page(
                line("The list of all that a boat takes along is here:", 700),
                line("•", 680),
                line("nets of hemp that were knotted on the island", 680, 62),
                line("by hand", 668, 62),
                line("– of the best", 656, 70),
                line("• oars", 644),
                line("1.", 620),
                line("first", 620, 70),
                line("2. second", 608),
            )
        ]
    )
    assert found == (
        "The list of all that a boat takes along is here:\n\n"
        "- nets of hemp that were knotted on the island by hand\n  - of the best\n- oars\n\n"
        "1. first\n2. second"
    )


def test_a_cell_of_several_lines_and_a_table_over_two_pages() -> None:
    header = (line("boat", 690, 50), line("home", 690, 150), line("built", 690, 300))
    first = page(
        line("Above the table stands a line that is as wide as it.", 710),
        *header,
        line("Vell", 670, 50),
        line("the north quay,", 670, 150),
        line("by the bell", 658, 150),
        line("1907", 670, 300),
        line("Mora, of old", 640, 50),
        line("oak", 628, 50),
        line("south quay", 640, 150),
        line("1911", 640, 300),
    )
    second = page(*header, line("Tarn", 670, 50), line("none", 670, 150), line("1920", 670, 300))
    assert layout.to_markdown([first, second]) == (
        "Above the table stands a line that is as wide as it.\n\n"
        "| boat | home | built |\n| --- | --- | --- |\n| Vell | the north quay, by the bell | 1907 |\n"
        "| Mora, of old oak | south quay | 1911 |\n| Tarn | none | 1920 |"
    )


def test_columns_whose_lines_are_drawn_side_by_side_are_read_one_after_the_other() -> None:
    left = [
        "The first column has a few words",
        "that go on over all of its lines",
        "until the last one of them is",
        "reached, which is here and now.",
    ]
    right = [
        "Then the second one begins, here",
        "with words of its own, and it too",
        "ends where the whole page does,",
        "at the bottom of it, with this.",
    ]
    lines = [
        piece
        for n, (a, b) in enumerate(zip(left, right, strict=True))
        for piece in (line(a, 600 - 12 * n, 50), line(b, 600 - 12 * n, 250))
    ]
    assert layout.to_markdown([page(*lines)]) == " ".join(left) + "\n\n" + " ".join(right)


def test_text_turned_by_90_degrees_on_a_turned_page() -> None:
    from reportlab.pdfgen import canvas

    path = Path(os.devnull)
    drawn = canvas.Canvas(str(path), pagesize=(400, 600), pageCompression=0)
    drawn.setPageRotation(90)
    drawn.saveState()
    drawn.rotate(90)
    drawn.setFont("Helvetica-Bold", 20)
    drawn.drawString(50, -60, "Orrin")
    drawn.setFont("Helvetica", 10)
    drawn.drawString(50, -90, "An island of some size, drawn on a page that is turned.")
    drawn.restoreState()
    drawn.drawString(50, 300, "a stamp in the margin")
    found = to_text("a.pdf", drawn.getpdfdata()).text
    assert found == "# Orrin\n\nAn island of some size, drawn on a page that is turned."


def test_pages_without_text_are_told() -> None:
    from reportlab.pdfgen import canvas

    drawn = canvas.Canvas(os.devnull)
    drawn.drawString(100, 500, "Orrin is an island.")
    drawn.showPage()
    drawn.rect(10, 10, 50, 50)
    drawn.showPage()
    found = to_text("a.pdf", drawn.getpdfdata())
    assert found.text == "Orrin is an island."
    (note,) = found.notes
    assert note.startswith("has 1 pages of 2 without text")


# HTML, Word, PowerPoint, EPUB


def test_a_page_of_html() -> None:
    page = """<!DOCTYPE html><html><head><title>Site</title></head><body>
<header>The site <a href="/">Home</a></header><nav><ul><li>Menu</ul></nav>
<main><article><h1>Orrin &amp; its boats</h1>
<p>Open paragraphs<br>with H<sub>2</sub>O, 10<sup>6</sup> fish,
the 1<sup>st</sup><sup><a href="#n">[1]</a></sup>
<p># no heading, | no table
<ul><li>nets<li>oars<ul><li>of ash</ul></ul>
<ol start=3><li>third<li>fourth</ol>
<table><tr><th>boat<th>year<tr><td rowspan=2>Vell<td>1907 | 1908<tr><td>1911</table>
<pre><code class="language-sh"># a comment

read --all
</code></pre>
<table role=presentation><tr><td><p>laid out</p></td><td>beside</td></tr></table>
<blockquote><p>Quoted.</p></blockquote></article></main><footer>Imprint</footer></body></html>"""
    assert to_text("a.htm", page.encode()).text == (
        "# Orrin & its boats\n\nOpen paragraphs\nwith H2O, 10^6 fish,\nthe 1st\n\n"
        "\\# no heading, | no table\n\n"
        "- nets\n- oars\n  - of ash\n\n3. third\n4. fourth\n\n"
        "| boat | year |\n| --- | --- |\n| Vell | 1907 \\| 1908 |\n|  | 1911 |\n\n"
        "```sh\n# a comment\n\nread --all\n```\n\nlaid out\n\nbeside\n\n> Quoted."
    )


def test_a_word_files_title_stands_above_its_headings() -> None:
    import io

    import docx

    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "A running title"
    document.add_heading("Orrin", 0)
    document.add_heading("Boats", 1)
    paragraph = document.add_paragraph("They are ")
    paragraph.add_run("blue").bold = True
    document.add_paragraph("net", style="List Bullet")
    document.add_paragraph("of hemp", style="List Bullet 2")
    file = io.BytesIO()
    document.save(file)
    found = to_text("a.docx", file.getvalue()).text
    assert found == "# Orrin\n\n## Boats\n\nThey are blue\n\n- net\n  - of hemp"


def test_a_presentations_notes_bullets_and_cover() -> None:
    import io

    import pptx

    deck = pptx.Presentation()
    cover = deck.slides.add_slide(deck.slide_layouts[0])
    cover.shapes.title.text, cover.placeholders[1].text = "Orrin", "An island"
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Boats"
    frame = slide.placeholders[1].text_frame
    frame.text = "nets"
    inner = frame.add_paragraph()
    inner.text, inner.level = "of hemp", 1
    slide.notes_slide.notes_text_frame.text = "Say that they are blue."
    file = io.BytesIO()
    deck.save(file)
    found = to_text("a.pptx", file.getvalue()).text
    assert found == "# Orrin\n\nAn island\n\n## Boats\n\n- nets\n  - of hemp\n\nSay that they are blue."


def test_a_books_chapters_come_in_the_order_of_its_spine() -> None:
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
        '<item id="b" href="b.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="a" href="text/a.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="x" href="x.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="i" href="i.png" media-type="image/png"/></manifest>'
        '<spine><itemref idref="b"/><itemref idref="a"/><itemref idref="x" linear="no"/><itemref idref="i"/>'
        '<itemref idref="gone"/></spine></package>'
    )
    named = (
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd">'
    )
    data = papers.zipped(
        {
            "META-INF/container.xml": papers.CONTAINER,
            "book/content.opf": package,
            "book/text/a.xhtml": f"<?xml version='1.0'?>{named}<html><p>Second&nbsp;o&shy;ne</p></html>",
            "book/b.xhtml": "<html><body><h1>First</h1><p><![CDATA[a < b]]></p></body></html>",
            "book/x.xhtml": "<p>auxiliary</p>",
            "book/i.png": b"\x89PNG",
        }
    )
    assert to_text("a.epub", data).text == "# First\n\na < b\n\nSecond one"


# The door


def test_other_files_are_refused_and_named() -> None:
    assert " ".join(SUFFIXES) == ".md .markdown .txt .rst .html .htm .pdf .docx .pptx .epub"
    with pytest.raises(Unreadable, match=r"is none of \.md, ") as caught:
        to_text("a.odt", b"")
    assert caught.value.mend
    assert to_text("A.MD", b"x") == Text("x")
    with pytest.raises(Unreadable, match="is no PDF"):
        to_text("a.PDF", b"Orrin")


@pytest.mark.parametrize(("name", "package"), [("a.html", "bs4"), ("a.pdf", "pypdfium2"), ("a.pptx", "pptx")])
def test_a_missing_package_names_the_command(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(Unreadable, match="not installed") as caught:
        to_text(name, b"x")
    assert caught.value.mend == 'pip install "feldspar[documents]"'


def test_without_the_extra_text_is_read_and_nothing_heavy_is_imported() -> None:
    heavy = ["bs4", "lxml", "markdownify", "mammoth", "pptx", "pypdfium2", "charset_normalizer", "PIL"]
    program = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {heavy!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
sys.path.insert(0, {str(Path(convert.__file__).parents[3])!r})
from feldspar.taxonomy.convert import to_text
print(to_text("a.md", "Größe".encode()).text == "Größe")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


# The cache


def test_a_converted_text_is_kept_and_a_damaged_one_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    calls: list[str] = []
    convert_it = process.convert

    def counted(kind: str, data: bytes) -> Text:
        calls.append(kind)
        return convert_it(kind, data)

    monkeypatch.setattr(process, "convert", counted)
    data = '<html><head><meta charset="x"></head><p>Orrin, größer</p></html>'.encode("cp1252")
    first = to_text("a.html", data, cache)
    assert first.text == "Orrin, größer"
    assert first.notes
    (kept,) = (cache / "text").iterdir()
    assert kept.name.endswith(".md")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert to_text("b.html", data, cache) == first
    assert calls == ["html"]
    whole = kept.read_bytes()
    for damaged in (
        b"",
        whole[:-1],
        whole.replace(b"Orrin", b"Orron"),
        b"\xff\xfe",
        b"<!-- {} -->\n",
        whole[5:],
    ):
        kept.write_bytes(damaged)
        calls.clear()
        assert to_text("a.html", data, cache) == first
        assert calls == ["html"]
        assert kept.read_bytes() == whole
    to_text("a.html", b"<p>another</p>", cache)
    assert len(list((cache / "text").iterdir())) == 2


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert to_text("a.html", b"<p>Orrin</p>", tmp_path / "cache").text == "Orrin"


def test_a_link_in_the_caches_place_is_not_followed(tmp_path: Path) -> None:
    data = b"<p>Orrin</p>"
    to_text("a.html", data, tmp_path)
    (kept,) = (tmp_path / "text").iterdir()
    other = tmp_path / "other"
    other.write_bytes(kept.read_bytes())
    kept.unlink()
    kept.symlink_to(other)
    assert to_text("a.html", data, tmp_path).text == "Orrin"
    assert not kept.is_symlink()
