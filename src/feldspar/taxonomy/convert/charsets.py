"""The encoding of a text file: by its mark, as UTF-8, or found from its bytes and then said.

What is not UTF-8 is put to charset-normalizer, and the encodings that it leaves over are told apart by
the letters that each would give: those of one language, hardly ever of two.
"""

from __future__ import annotations

import codecs
import re
import unicodedata

from feldspar.taxonomy.convert.outcome import Text, Unreadable

_MARKS = (
    (codecs.BOM_UTF8, "utf-8", ""),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)

_NAMES = {
    "cp1252": "windows-1252",
    "cp1250": "windows-1250",
    "cp1251": "windows-1251",
    "cp1253": "windows-1253",
    "cp1254": "windows-1254",
    "cp1255": "windows-1255",
    "cp1256": "windows-1256",
    "cp1257": "windows-1257",
    "cp874": "windows-874",
    "iso8859_2": "ISO-8859-2",
    "iso8859_5": "ISO-8859-5",
    "iso8859_7": "ISO-8859-7",
    "koi8_r": "KOI8-R",
    "koi8_u": "KOI8-U",
    "cp866": "IBM866",
    "cp850": "IBM850",
    "mac_roman": "Mac Roman",
    "cp932": "Shift_JIS",
    "euc_jp": "EUC-JP",
    "cp949": "EUC-KR",
    "gb18030": "GB18030",
    "big5": "Big5",
}
"""The encodings that are looked for, the likelier first where two of them would give equal sense."""

# The first bytes of the characters that a multibyte encoding's standard lists as the frequent ones.
_COMMON = {
    "cp932": (0x88, 0x97),
    "euc_jp": (0xB0, 0xCF),
    "gb18030": (0xB0, 0xD7),
    "big5": (0xA4, 0xC6),
    "cp949": (0xB0, 0xC8),
}

# A language's letters beyond ASCII. Those that a Latin alphabet adds are rare, so that all count alike;
# of another script, only the frequent half is listed: a wrong reading hits it by chance alone.
_ALPHABETS = tuple(
    frozenset(letters)
    for letters in (
        "äöüß",
        "àâæçéèêëîïôœùûüÿ",
        "áéíñóúüªº",
        "ãáâàçéêíóôõúªº",
        "àèéìíòóù",
        "éëïóöüèáíú",
        "åäöé",
        "æøåéóòôü",
        "áðéíóúýþæö",
        "ąćęłńóśźż",
        "áčďéěíňóřšťúůýžäĺľŕô",
        "áéíóöőúüű",
        "ăâîșțşţ",
        "čćđšž",
        "ąčęėįšųūž",
        "āčēģīķļņšūž",
        "äõöüšž",
        "çğıiöşüâîû",
        "оеаинтсрвлкмдп",
        "оаиніетвірслкдїє",
        "αιοτεσνρπκυςίόάέήώύη",
        "יוהלאתברמש",
        "ايلمنوتربعدهةأ",
        "านรอกเงมยลวดทสตะปบคห",
    )
)
# Signs that stand beside letters in a right reading, and those that stand within a word.
_SIGNS = "“”„‚«»‹›…°§©®™€£¥¢±²³¹¼½¾×÷¡¿ªº\xa0№،؛؟"
_WITHIN = "’‘ʼ–—‑·\xad׳״־"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_BEYOND_ASCII = re.compile(rb"[^\r\n\x80-\xff]*+[\x80-\xff][^\r\n]*+[\r\n]*+")
_SAMPLE = 20_000
"""Bytes that the encoding is judged by, of the lines that hold more than ASCII."""
_AT_ONCE = 2_500
"""Bytes that charset-normalizer reads from end to end."""
_FEW = 8
"""Bytes beyond ASCII below which charset-normalizer cannot tell."""
_MESS = 0.2
"""charset-normalizer's own measure of disorder, up to which a reading is looked at."""
_LEAST_SENSE = 0.5

_MEND = "save it as UTF-8"


def decode(data: bytes) -> Text:
    """The text of a file's bytes, with `\\n` as line end.

    UTF-8, with a byte order mark or without, is read silently; of every other encoding a note says which
    it was taken for.

    Raises:
        Unreadable: Bytes that are no text, or of an encoding that cannot be told; a control character.
    """
    found = read(data)
    control = _CONTROL.search(found.text)
    if control:
        # A carriage return is no line of its own any more, so that the place is an editor's.
        at = place(found.text[: control.start()])
        raise Unreadable(f"holds U+{ord(control.group()):04X} at {at}", "remove it")
    return found


def read(data: bytes) -> Text:
    """As `decode`, with control characters as they are.

    Raises:
        Unreadable: Bytes that are no text, or of an encoding that cannot be told.
    """
    text, encoding, sure = _decoded(data)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not encoding:
        return Text(text)
    told = "as its mark says" if sure else "which its bytes look like"
    return Text(text, (f"is read as {encoding}, {told}: {_MEND}",))


def place(before: str) -> str:
    """The line and the column, both from 1, that follow a text: `3:7`."""
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def _decoded(data: bytes) -> tuple[str, str, bool]:
    """The text, the name of its encoding where it is not UTF-8, and whether that is sure."""
    for mark, codec, name in _MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(codec), name, True
            except UnicodeDecodeError as error:
                what = f"begins as {name or 'UTF-8'} and is none: byte {error.start + len(mark):,} is wrong"
                raise Unreadable(what, _MEND) from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        first = error
    else:
        if "\x1b$" in text:
            return _shifted(data, text)
        return text, "", True
    before = data[: first.start].decode("utf-8")
    nul = data.find(b"\0")
    if nul >= 0:
        at = place(data[:nul].decode("utf-8", "replace"))
        raise Unreadable(f"is no text: it holds U+0000 at {at}", f"if it is text, {_MEND}")
    if _nearly_utf8(data):
        what = f"is not UTF-8: byte 0x{data[first.start]:02x} at {place(before)}"
        raise Unreadable(what, f"the rest of it is: mend that place, or {_MEND}")
    return _found(data)


def _shifted(data: bytes, text: str) -> tuple[str, str, bool]:
    """ISO-2022-JP, whose bytes are all ASCII; its escape sequences are its mark."""
    try:
        return data.decode("iso2022_jp"), "ISO-2022-JP", True
    except UnicodeDecodeError:
        return text, "", True


def _nearly_utf8(data: bytes) -> bool:
    """Whether all but a few of the bytes beyond ASCII are UTF-8: then one of them is wrong, not all."""
    lossy = data.decode("utf-8", "replace")
    wrong = lossy.count("\N{REPLACEMENT CHARACTER}")
    right = sum(letter > "\x7f" for letter in lossy) - wrong
    return right > 2 * wrong


def _found(data: bytes) -> tuple[str, str, bool]:
    from charset_normalizer import from_bytes

    sample = _telling(data, _SAMPLE)
    likely: set[str] = set()
    if sum(byte > 127 for byte in sample) >= _FEW:
        # Of more than it takes at once it looks at stretches that may begin within a word.
        matches = from_bytes(_telling(data, _AT_ONCE), cp_isolation=list(_NAMES), enable_fallback=False)
        likely = {name for match in matches if match.chaos <= _MESS for name in match.could_be_from_charset}
    for names in (likely & _NAMES.keys(), _NAMES.keys() - likely):
        readings = [(_sense(sample.decode(name, "replace"), name), name) for name in _NAMES if name in names]
        for sense, name in sorted(readings, key=lambda reading: -reading[0]):
            if sense < _LEAST_SENSE:
                break
            try:
                return data.decode(name), _NAMES[name], False
            except UnicodeDecodeError:
                continue
    raise Unreadable("is not UTF-8, and its encoding cannot be told", _MEND)


def _telling(data: bytes, most: int) -> bytes:
    """The lines that hold more than ASCII, up to a number of bytes: what an encoding can be told by."""
    kept = bytearray()
    for line in _BEYOND_ASCII.finditer(data):
        kept += line.group()[: most + 1]
        if len(kept) > most:
            # A blank or a sign is no part of a character of several bytes.
            end = max(kept.rfind(byte, 0, most) for byte in (b"\n", b" ", b",", b"."))
            return bytes(kept[: end + 1 if end > 0 else most])
    return bytes(kept)


def _sense(text: str, encoding: str) -> float:
    """How much of what is beyond ASCII makes sense together, at most 1."""
    letters = [letter for letter in text if letter > "\x7f" and letter.isalpha()]
    every = sum(letter > "\x7f" for letter in text)
    odd = sum(
        _odd(*three) for three in zip(" " + text, text, text[1:] + " ", strict=False) if three[1] > "\x7f"
    )
    if not letters:
        return 1 - odd / max(1, every)
    if encoding in _COMMON:
        first, last = _COMMON[encoding]
        known = sum(_between(letter, encoding, first, last) for letter in letters)
        kana = sum("\u3040" <= letter <= "\u30ff" for letter in letters)
        if (encoding in ("cp932", "euc_jp")) != (kana > 0.15 * len(letters)):
            return (known - odd) / len(letters) / 2
    else:
        known = max(sum(letter.casefold() in alphabet for letter in letters) for alphabet in _ALPHABETS)
    return (known - odd) / len(letters)


def _odd(before: str, letter: str, after: str) -> bool:
    """Whether a character beyond ASCII stands where none of a right reading does."""
    if letter.isalpha():
        foreign = letter > "\u036f"  # no Latin letter
        return (before.islower() and letter.isupper()) or (
            foreign and ((before.isascii() and before.isalpha()) or (after.isascii() and after.isalpha()))
        )
    if letter in _WITHIN or "\u3000" <= letter <= "\u303f" or "\uff00" <= letter <= "\uffef":
        return False
    if unicodedata.category(letter)[0] == "M":
        return not before.isalpha() and unicodedata.category(before)[0] != "M"
    if letter in _SIGNS:
        return before.isalpha() and after.isalpha()
    return before.isalpha() or after.isalpha() or letter.isdigit() or unicodedata.category(letter) == "Cc"


def _between(letter: str, encoding: str, first: int, last: int) -> bool:
    """Whether a letter's code begins with a byte of the frequent range, or it is kana."""
    code = letter.encode(encoding, "ignore")
    return "\u3040" <= letter <= "\u30ff" or (len(code) == 2 and first <= code[0] <= last)
