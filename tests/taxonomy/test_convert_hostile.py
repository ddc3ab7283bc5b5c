"""Documents from strangers: nothing runs, is fetched or written; 10 seconds and 1 GiB hold for each."""

from __future__ import annotations

import http.server
import io
import json
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.taxonomy import papers
from tests.taxonomy.papers import ISLAND, zipped

from feldspar.taxonomy import convert
from feldspar.taxonomy.convert import Text, Unreadable, process

SRC = Path(__file__).absolute().parents[2] / "src"
# In a process of its own, so that the memory told is that of this one conversion.
MEASURE = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[1])
from feldspar.taxonomy import convert
data = open(sys.argv[3], "rb").read()
start = time.monotonic()
try:
    text, what = convert.to_text(sys.argv[2], data).text, ""
except convert.Unreadable as error:
    text, what = "", error.what
    assert error.mend
seconds = time.monotonic() - start
print(json.dumps([text[:100_000], what, seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


@dataclass(frozen=True)
class Outcome:
    text: str
    what: str


@pytest.fixture
def met(tmp_path: Path) -> Callable[[str, bytes], Outcome]:
    """Converts within the limits, and leaves nothing behind."""
    room = tmp_path / "room"
    room.mkdir()

    def convert_it(name: str, data: bytes) -> Outcome:
        (tmp_path / "given").write_bytes(data)
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(SRC), name, str(tmp_path / "given")],
            cwd=room,
            env={**os.environ, "TMPDIR": str(room), "HOME": str(room)},
            capture_output=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr.decode()
        text, what, seconds, peak = json.loads(done.stdout)
        assert seconds < 10
        assert peak <= 1 << 20, f"{peak} KiB"
        assert "Traceback" not in what
        assert list(room.iterdir()) == []
        return Outcome(text, what)

    return convert_it


def parts_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


DOCX = parts_of(papers.docx(ISLAND))
PPTX = parts_of(papers.pptx(ISLAND))
EPUB = parts_of(papers.epub(ISLAND))
MAIN = {
    "docx": (DOCX, "word/document.xml"),
    "pptx": (PPTX, "ppt/slides/slide1.xml"),
    "epub": (EPUB, "book/chapter one.xhtml"),
}


def changed(kind: str, content: bytes) -> bytes:
    """A good file whose main part is replaced."""
    parts, name = MAIN[kind]
    return zipped({**parts, name: content})


# Zips


@pytest.mark.parametrize("kind", MAIN)
def test_a_zip_bomb(met, kind: str) -> None:
    found = met(f"a.{kind}", changed(kind, b"<p>" + b"A" * 60_000_000))
    assert "zip bomb" in found.what


@pytest.mark.parametrize("kind", MAIN)
def test_a_zip_that_lies_about_its_sizes(met, kind: str) -> None:
    data = bytearray(changed(kind, b"A" * 60_000_000))
    for mark, place in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
        at = data.find(mark)
        while at >= 0:
            if struct.unpack_from("<I", data, at + place)[0] == 60_000_000:
                struct.pack_into("<I", data, at + place, 1000)
            at = data.find(mark, at + 4)
    assert "damaged" in met(f"a.{kind}", bytes(data)).what


def test_a_zip_that_would_unpack_to_more_than_200_megabytes(met) -> None:
    filler = random.Random(1).randbytes(2_000_000)  # so that its ratio alone says nothing
    data = bytearray(zipped({**EPUB, "a.png": filler}))
    at = data.rfind(b"PK\1\2")
    struct.pack_into("<I", data, at + 24, 250_000_000)
    assert "zip bomb" in met("a.epub", bytes(data)).what


def test_zips_within_zips_are_not_opened(met) -> None:
    inner = zipped({"a.zip": zipped({"b": b"A" * 50_000_000})})
    found = met("a.docx", zipped({**DOCX, "word/embeddings/a.zip": inner}))
    assert found.text.startswith("# The island of Orrin")


@pytest.mark.parametrize(("kind", "count"), [("docx", 100_000), ("epub", 100_000)])
def test_a_hundred_thousand_entries(met, kind: str, count: int) -> None:
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"x"
    central = b"".join(
        struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, *[0] * 7, 9, *[0] * 6) + b"%09d" % number
        for number in range(count)
    )
    low = count & 0xFFFF
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, low, low, len(central), len(local), 0)
    assert f"holds {count:,} files" in met(f"a.{kind}", local + central + end).what


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "C:\\evil", "book/..\\..\\evil"])
def test_names_that_lead_out_of_the_zip(met, name: str) -> None:
    assert "leads out of it" in met("a.epub", zipped({**EPUB, name: "x"})).what


def test_two_files_of_one_name(met) -> None:
    file = io.BytesIO(zipped(EPUB))
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("book/content.opf", "<package/>")
    assert "two files of one name" in met("a.epub", file.getvalue()).what


def test_locked_files_are_named_so(met) -> None:
    data = bytearray(zipped(DOCX))
    data[data.find(b"PK\1\2") + 8] |= 1
    assert "encrypted" in met("a.docx", bytes(data)).what
    assert "encrypted" in met("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)).what
    named = '<CipherReference xmlns="urn:y" URI="book/chapter%20one.xhtml"/>'
    locked = f'<encryption xmlns="urn:x">{named}</encryption>'
    assert "DRM" in met("a.epub", zipped({**EPUB, "META-INF/encryption.xml": locked})).what


# XML

LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(10))
    + "]>"
)
PASSWD = '<!DOCTYPE x [<!ENTITY k SYSTEM "file:///etc/passwd">]>'
PARAMETER = '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x.dtd"> %p;]>'


@pytest.mark.parametrize("kind", MAIN)
@pytest.mark.parametrize("declared", [LAUGHS, PASSWD, PARAMETER])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused(met, kind: str, declared: str, encoding: str) -> None:
    parts, name = MAIN[kind]
    body = parts[name].decode().partition("?>")[2].replace("Orrin", "&k;", 1)
    content = f"<?xml version='1.0' encoding='{encoding}'?>{declared}{body}".encode(encoding)
    assert "declares a document type or entities" in met(f"a.{kind}", changed(kind, content)).what


@pytest.mark.parametrize("kind", ["docx", "pptx"])
def test_a_document_type_is_refused_where_none_belongs(met, kind: str) -> None:
    parts, name = MAIN[kind]
    content = b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">' + parts[name].partition(b"?>")[2]
    assert "declares a document type" in met(f"a.{kind}", changed(kind, content)).what


def test_entities_in_a_books_package_are_refused(met) -> None:
    found = met("a.epub", zipped({**EPUB, "book/content.opf": LAUGHS + papers.PACKAGE}))
    assert "declares a document type or entities" in found.what


@pytest.mark.parametrize("kind", ["docx", "pptx"])
def test_xml_without_end(met, kind: str) -> None:
    found = met(f"a.{kind}", changed(kind, b"<a>" * 100_000 + b"</a>" * 100_000))
    assert "nested over" in found.what


def test_a_document_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"<w:p><w:r><w:t>word</w:t></w:r></w:p>" * 100_000
    main = DOCX["word/document.xml"].replace(b"<w:body>", b"<w:body>" + body)
    monkeypatch.setattr(process, "SECONDS", 1.5)
    start = time.monotonic()
    with pytest.raises(Unreadable, match="seconds to read"):
        convert.to_text("a.docx", zipped({**DOCX, "word/document.xml": main}))
    assert time.monotonic() - start < 4


def test_a_picture_that_a_word_file_links_to_is_not_opened(met, server) -> None:
    relation = (
        '<Relationship Id="rIdX" TargetMode="External" Target="{}" '
        'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/image"/></Relationships>'
    )
    picture = (
        "<w:p><w:r><w:drawing><wp:inline xmlns:wp='http://schemas.openxmlformats.org/drawingml/2006/"
        "wordprocessingDrawing'><a:graphic xmlns:a='http://schemas.openxmlformats.org/drawingml/2006/main'>"
        "<a:graphicData><pic:pic xmlns:pic='http://schemas.openxmlformats.org/drawingml/2006/picture'>"
        "<pic:blipFill><a:blip r:link='rIdX' xmlns:r='http://schemas.openxmlformats.org/officeDocument/2006/"
        "relationships'/></pic:blipFill></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>"
    )
    for target in (f"http://127.0.0.1:{server.server_port}/x.png", "file:///etc/passwd"):
        parts = dict(DOCX)
        name = "word/_rels/document.xml.rels"
        parts[name] = parts[name].replace(b"</Relationships>", relation.format(target).encode())
        main = parts["word/document.xml"]
        parts["word/document.xml"] = main.replace(b"<w:body>", b"<w:body>" + picture.encode())
        found = met("a.docx", zipped(parts))
        assert found.text.startswith("# The island of Orrin")
        assert "root:" not in found.text
    assert server.seen == []


# PDF


def pdf(objects: list[str | bytes], trailer: str = "/Root 1 0 R") -> bytes:
    data = bytearray(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n" % number + (content.encode() if isinstance(content, str) else content)
        data += b"\nendobj\n"
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % place for place in places)
    data += f"trailer\n<< /Size {len(objects) + 1} {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(data)


def stream(content: bytes, entries: str = "") -> bytes:
    return f"<< /Length {len(content)} {entries} >>\nstream\n".encode() + content + b"\nendstream"


SHOWN = b"BT /F1 12 Tf 72 600 Td (Orrin is an island.) Tj ET"
PAGE = (
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R /Resources "
    "<< /Font << /F1 4 0 R >> {} >> >>"
)
FONT = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def one_page(
    content: bytes = SHOWN,
    entries: str = "",
    catalog: str = "",
    pages: str = "/Kids [3 0 R] /Count 1",
    resources: str = "",
    more: tuple[str | bytes, ...] = (),
) -> bytes:
    return pdf(
        [
            f"<< /Type /Catalog /Pages 2 0 R {catalog} >>",
            f"<< /Type /Pages {pages} >>",
            PAGE.format(resources),
            FONT,
            stream(content, entries),
            *more,
        ]
    )


def test_a_page_tree_that_holds_itself(met) -> None:
    found = met("a.pdf", one_page(pages="/Kids [2 0 R 2 0 R 3 0 R] /Count 1000000000"))
    assert found.text == "Orrin is an island." or found.what
    more = ("<< /Type /Pages /Kids [2 0 R] /Parent 2 0 R /Count 2000000 >>",)
    assert met("a.pdf", one_page(pages="/Kids [6 0 R] /Count 2000000", more=more)).what


def test_a_hundred_thousand_pages(met) -> None:
    kids = " ".join(["3 0 R"] * 100_000)
    assert "100,000 pages" in met("a.pdf", one_page(pages=f"/Kids [{kids}] /Count 100000")).what


def test_objects_that_refer_to_themselves(met) -> None:
    assert met("a.pdf", pdf(["1 0 R", "2 0 R"])).what
    data = one_page()
    start = int(data[data.rindex(b"startxref") + 10 :].split()[0])
    looped = data.replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev %d" % start)
    found = met("a.pdf", looped)
    assert found.text == "Orrin is an island." or found.what


def test_forms_that_draw_themselves(met) -> None:
    form = "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X {} 0 R >> >>"
    own = (stream(b"/X Do /X Do", form.format(6)),)
    resources = "/XObject << /X 6 0 R >>"
    found = met("a.pdf", one_page(SHOWN + b" /X Do", resources=resources, more=own))
    assert found.text == "Orrin is an island." or "1 GiB" in found.what or "10 seconds" in found.what
    doubling = tuple(stream(b"/X Do /X Do", form.format(7 + n)) for n in range(30))
    found = met("a.pdf", one_page(SHOWN + b" /X Do", resources=resources, more=doubling))
    assert found.text == "Orrin is an island." or "1 GiB" in found.what or "10 seconds" in found.what


@pytest.mark.parametrize(
    ("content", "count"), [(b" " * 1_000_000, 600), (b"BT /F1 12 Tf 72 600 Td (Orrin) Tj ET\n", 300_000)]
)
def test_a_content_that_unpacks_without_end(met, content: bytes, count: int) -> None:
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(content) for _ in range(count)) + packer.flush()
    found = met("a.pdf", one_page(packed, "/Filter /FlateDecode"))
    assert found.text == "Orrin" or found.what


def test_a_deep_page_tree_and_deep_arrays(met) -> None:
    tree = [f"<< /Type /Pages /Kids [{7 + n if n < 19_999 else 3} 0 R] /Count 1 >>" for n in range(20_000)]
    found = met("a.pdf", one_page(pages="/Kids [6 0 R] /Count 1", more=tuple(tree)))
    assert found.text == "Orrin is an island." or found.what
    met("a.pdf", one_page(catalog="/X " + "[" * 200_000 + "]" * 200_000))


def test_javascript_launching_and_attachments_are_left_alone(met, tmp_path: Path) -> None:
    marker = tmp_path / "room" / "ran"
    catalog = (
        f"/OpenAction << /S /JavaScript /JS (app.launchURL('http://127.0.0.1:1/')) >> "
        f"/AA << /WC << /S /Launch /F (/usr/bin/touch) /P ({marker}) >> >> /Names << /JavaScript << /Names "
        f"[(x) << /S /JavaScript /JS (while\\(1\\);) >>] >> /EmbeddedFiles << /Names [(a) 6 0 R] >> >>"
    )
    more = (
        "<< /Type /Filespec /F (../../evil) /EF << /F 7 0 R >> >>",
        stream(b"evil words", "/Type /EmbeddedFile"),
    )
    assert met("a.pdf", one_page(catalog=catalog, more=more)).text == "Orrin is an island."


def test_a_pdf_without_text_names_the_extra_for_ocr() -> None:
    with pytest.raises(Unreadable, match="without a text layer") as caught:
        convert.to_text("a.pdf", one_page(b"0 0 100 100 re f"))
    assert 'pip install "feldspar[ocr]"' in caught.value.mend


def test_a_pdf_whose_letters_are_unknown_names_it_too() -> None:
    codes = "<< /Type /Encoding /Differences [65 /uniE001 /uniE002 /uniE003] >>"
    font = f"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding {codes} >>"
    data = one_page(b"BT /F1 12 Tf 72 600 Td (ABCABC) Tj ET").replace(FONT.encode(), font.encode())
    with pytest.raises(Unreadable, match="do not say which letters") as caught:
        convert.to_text("a.pdf", data)
    assert "feldspar[ocr]" in caught.value.mend


def test_an_encrypted_pdf_is_named_so(met) -> None:
    assert met("a.pdf", papers.pdf(ISLAND, encrypt="secret")).what == "is an encrypted PDF"


# HTML


class Seen(http.server.ThreadingHTTPServer):
    seen: list[str]


@pytest.fixture
def server() -> Iterator[Seen]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.seen.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with Seen(("127.0.0.1", 0), Handler) as running:
        running.seen = []
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_page_with_scripts_and_remote_parts(met, server) -> None:
    at = f"http://127.0.0.1:{server.server_port}"
    page = f"""<!doctype html><html><head><base href="{at}/"><link rel=stylesheet href="{at}/a.css">
<meta http-equiv=refresh content="0;url={at}/b"><script src="{at}/c.js">alert(1)</script>
<style>@import url({at}/d.css); p {{ color: red }}</style></head>
<body onload="alert(2)"><h1 onclick="alert(3)">Orrin</h1><p>An <a href="javascript:alert(4)">island</a>.
<img src="{at}/e.png" onerror="alert(5)" alt="A map"><img src="data:image/png;base64,AAAA">
<a href="data:text/html,<script>alert(6)</script>">quay</a></p>
<iframe src="{at}/f">framed</iframe><object data="{at}/g">object</object>
<svg onload="alert(7)"><text>svg</text></svg>
<noscript>no script</noscript><template><p>template</p></template><form><input value="x">form</form>
<!-- a comment --><p hidden>hidden</p><p style="display: none">unseen</p><p>The end.</p></body></html>"""
    found = met("a.html", page.encode())
    assert found.text == "# Orrin\n\nAn island.\nA map\nquay\n\nThe end."
    assert server.seen == []


@pytest.mark.parametrize(
    "data",
    [
        b"<div>" * 2_000_000,
        b"<div>" * 5_000 + b"text",
        (b"<div>" * 190 + b"text" + b"</div>" * 190) * 50,
        b"<" * 10_000_000,
        b"&" * 10_000_000,
        b"<p " + b"a=1 " * 2_500_000 + b">x",
        b"<!--" * 2_500_000,
        b"<![CDATA[" * 100_000,
        b"<table><tr><td>" * 5_000,
        b"<table>" + b"<tr><td colspan=1000 rowspan=1000>x" * 1_000,
        b"<ol start=" + b"9" * 5_000_000 + b"><li>x</ol>",
    ],
    ids="divs nested many less amp attributes comments cdata tables spans number".split(),
)
def test_ten_megabytes_of_markup(met, data: bytes) -> None:
    found = met("a.html", data)
    assert found.what or len(found.text) <= 100_000


def test_tags_nested_too_deep_are_named_so(met) -> None:
    assert met("a.html", b"<div>" * 5_000 + b"text").what == "is nested over 250 deep"
    assert met("a.html", b"<div>" * 200 + b"text").text == "text"
    assert met("a.html", b"<p>text" * 1_000).text.count("text") == 1_000  # left open, not nested


# All of them


@pytest.mark.parametrize("kind", ["html", "pdf", "docx", "pptx", "epub"])
def test_random_bytes(met, kind: str) -> None:
    source = random.Random(1)
    head = {"html": b"<p>", "pdf": b"%PDF-1.7\n"}.get(kind, b"PK\3\4")
    for data in (source.randbytes(100_000), head + source.randbytes(100_000), b"", head):
        met(f"a.{kind}", data)


def outcome(name: str, data: bytes) -> Text | Unreadable:
    try:
        return convert.to_text(name, data)
    except Unreadable as error:
        return error


@pytest.mark.parametrize("kind", ["html", "pdf", "docx", "pptx", "epub"])
def test_truncated_and_altered_files(kind: str) -> None:
    whole = getattr(papers, kind)(ISLAND)
    source = random.Random(2)
    altered = bytearray(whole)
    for _ in range(20):
        altered[source.randrange(len(altered))] = source.randrange(256)
    for data in (whole[: len(whole) // 3], whole[:-50], bytes(altered)):
        found = outcome(f"a.{kind}", data)
        assert isinstance(found, Text) or (found.what and found.mend)


@given(st.binary(max_size=300), st.sampled_from([".md", ".txt", ".rst", ".markdown"]))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_random_bytes_as_text(data: bytes, suffix: str) -> None:
    found = outcome("a" + suffix, data)
    if isinstance(found, Text):
        assert not set(found.text) & {"\r", "\0"}
    else:
        assert found.what
        assert found.mend


# The child

CONFINED = """
import os, socket, subprocess, sys
sys.path.insert(0, sys.argv[1])
from feldspar.taxonomy.convert import child
child._confine()
def tried(what, attempt):
    try:
        attempt()
    except (OSError, MemoryError, ValueError) as error:
        print(what, type(error).__name__)
    else:
        print(what, "worked")
tried("write", lambda: open(sys.argv[2], "w"))
tried("read", lambda: open("/etc/passwd"))
tried("connect", lambda: socket.create_connection(("127.0.0.1", 1)))
tried("run", lambda: subprocess.run(["true"]))
tried("fork", os.fork)
tried("memory", lambda: bytearray(1 << 30))
import resource
print("cpu", resource.getrlimit(resource.RLIMIT_CPU)[0])
"""


def test_the_child_gives_up_its_rights(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CONFINED, str(SRC), str(tmp_path / "x")], capture_output=True, text=True
    )
    assert done.stdout.splitlines() == [
        "write PermissionError",
        "read PermissionError",
        "connect PermissionError",
        "run PermissionError",
        "fork PermissionError",
        "memory MemoryError",
        "cpu 9",
    ]


def test_a_child_that_hangs_is_killed_with_its_own_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "pids"
    start = f"""
import os, subprocess, sys, time
other = subprocess.Popen(["sleep", "60"])
open({str(told)!r}, "w").write(f"{{os.getpid()}} {{other.pid}}")
time.sleep(60)
"""
    monkeypatch.setattr(process, "_START", start)
    monkeypatch.setattr(process, "SECONDS", 1.0)
    with pytest.raises(Unreadable, match="seconds"):
        process.convert("html", b"x" * 1_000_000)
    for pid in map(int, told.read_text().split()):
        for _ in range(100):
            if not _alive(pid):
                break
            time.sleep(0.02)
        assert not _alive(pid)


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})", "SIGSEGV"),
        ("import os; os.abort()", "1 GiB"),
        (f"import os; os.kill(os.getpid(), {int(signal.SIGXCPU)})", "seconds"),
        ("raise SystemExit(3)", "exit code 3"),
        ("print('x' * 2_000_000)", "more than 1,000,000 bytes"),
        ("print('no JSON')", "no answer"),
        ('print(\'{"text": 7, "notes": []}\')', "no answer"),
        ('print(\'{"what": "is \\\\u001b[2J", "mend": ""}\')', "is \ufffd\\[2J"),
    ],
)
def test_what_a_child_dies_of_is_said(program: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_START", program)
    monkeypatch.setattr(process, "MAX_OUTPUT", 1_000_000)
    with pytest.raises(Unreadable, match=told):
        process.convert("html", b"x")


def test_the_callers_environment_and_folder_do_not_reach_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The last two are tried by BeautifulSoup, whether or not anybody has installed them.
    for name in ("bs4", "json", "cchardet", "chardet"):
        (tmp_path / f"{name}.py").write_text("import os; os._exit(7)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "json.py"))
    assert convert.to_text("a.html", b"<p>Hello</p>").text == "Hello"
