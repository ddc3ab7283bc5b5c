"""What a .docx, .pptx or .epub holds, unpacked in bounds before any library sees it.

A library is never given a stranger's zip: entries are counted, their declared sizes added up, no more is
unpacked than declared, and only the parts that hold text go on, in a new zip or one by one. XML that
declares a document type, and with it entities, is refused where the format has no use for one.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from xml.etree import ElementTree
from xml.parsers import expat

from feldspar.taxonomy.convert.outcome import Unreadable

MAX_ENTRIES = 10_000
MAX_BYTES = 200_000_000
"""Unpacked, all entries together."""
MAX_RATIO = 200
"""Unpacked to packed, beyond the first 10 MB: text packs 10 times."""
MAX_DEPTH = 200
"""XML elements within each other; a document needs 30."""

_FREE = 10_000_000
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_XML = re.compile(r"\.(xml|rels|opf|ncx|xhtml|html|htm)$", re.IGNORECASE)
_ENCRYPTED = 0x1


def entries(data: bytes, kind: str) -> dict[str, bytes]:
    """The parts of a zip that hold markup, by name; every other part is there, and empty.

    Args:
        data: The zip.
        kind: What it should be, for the messages: "Word file (.docx)".

    Raises:
        Unreadable: It is no zip, is encrypted or damaged, is larger than it may be, or lies about it.
    """
    if data.startswith(_OLE):
        what = "is encrypted, or of an older format"
        raise Unreadable(what, f"save it without a password as a {kind}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            _check(infos, len(data))
            return {info.filename: _part(archive, info) for info in infos}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError, ValueError) as error:
        told = str(error).partition("\n")[0][:100]
        raise Unreadable(f"is no {kind}, or a damaged one: {told}", "save it anew") from None


def repacked(parts: dict[str, bytes]) -> io.BytesIO:
    """The same parts as a plain zip without compression, whose sizes are true."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    file.seek(0)
    return file


def check_xml(parts: dict[str, bytes], doctypes: bool = False) -> None:
    """Refuse XML that declares entities, refers to other files or is nested too deep.

    Args:
        parts: Of which those ending in .xml, .rels or the like are looked at.
        doctypes: Whether a document type may be named, as old EPUB files do; entities may not.

    Raises:
        Unreadable: With the part's name.
    """
    for name, content in parts.items():
        if content and _XML.search(name):
            _check_part(name, content, doctypes)


def tree(name: str, content: bytes) -> ElementTree.Element:
    """The tree of a part that `check_xml` let pass.

    Raises:
        Unreadable: It is no XML.
    """
    try:
        return ElementTree.fromstring(content)  # noqa: S314 - entities were refused
    except ElementTree.ParseError as error:
        raise Unreadable(f"is damaged: its part {name[:100]!r} is no XML, {error}", "save it anew") from None


def _check(infos: list[zipfile.ZipInfo], packed: int) -> None:
    if len(infos) > MAX_ENTRIES:
        what = f"holds {len(infos):,} files, more than the {MAX_ENTRIES:,} that are read"
        raise Unreadable(what, "split it")
    names = [info.filename for info in infos]
    for name in names:
        if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or re.match(r"[A-Za-z]:", name):
            raise Unreadable(f"holds a file named {name[:100]!r}, which leads out of it", "save it anew")
    if len(set(names)) < len(names):
        raise Unreadable("holds two files of one name", "save it anew")
    if any(info.flag_bits & _ENCRYPTED for info in infos):
        raise Unreadable("is encrypted", "save it without a password")
    size = sum(info.file_size for info in infos)
    if size > MAX_BYTES or size > _FREE + packed * MAX_RATIO:
        what = f"would unpack to {size:,} bytes from {packed:,}: it looks like a zip bomb"
        raise Unreadable(what, "save it anew, or split it")


def _part(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if not _XML.search(info.filename):
        return b""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Unreadable("is packed in a way that its format does not know", "save it anew")
    # Asked for no more than declared, for zipfile unpacks as much as it is asked for before it looks.
    content = bytearray()
    with archive.open(info) as file:
        while len(content) < info.file_size:
            piece = file.read(min(1 << 20, info.file_size - len(content)))
            if not piece:
                break
            content += piece
        if len(content) != info.file_size:
            raise zipfile.BadZipFile(f"{info.filename[:80]!r} is not of the size that it declares")
    return bytes(content)


def _check_part(name: str, content: bytes, doctypes: bool) -> None:
    parser = expat.ParserCreate()
    depth = 0

    def refuse(*_: object) -> int:
        what = f"declares a document type or entities in {name[:100]!r}, which can grow without end"
        raise Unreadable(what, "save it anew from a program that you trust")

    def opened(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise Unreadable(f"is nested over {MAX_DEPTH} deep in {name[:100]!r}", "save it anew")

    def closed(*_: object) -> None:
        nonlocal depth
        depth -= 1

    if not doctypes:
        parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.UnparsedEntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        if not doctypes:
            what = f"is damaged: its part {name[:100]!r} is no XML, {error}"
            raise Unreadable(what, "save it anew") from None
