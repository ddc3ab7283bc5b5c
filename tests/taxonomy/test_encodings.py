"""Text files in the encodings people have: found, and said; what is no text is refused."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feldspar.taxonomy.convert import Text, Unreadable, to_text

TEXTS = {
    "en": "The island’s ferry doesn’t run on Sundays – it never has. “We rest,” said the captain.",
    "café": "The café by the harbour opens at nine. It sells bread, cheese and fish to all who come.",
    "de": "Die Fähren der Insel fahren täglich außer sonntags. Im Frühjahr müssen die Boote ins Dock.",
    "fr": "L’île possède deux ports où les pêcheurs débarquent. Ça dure jusqu’à l’été, répète l’élève : 3 €.",
    "es": "El año pasado la señora Muñoz compró un barco más pequeño. ¿Cuántos días dura la travesía?",
    "pt": "A ilha não tem estação, mas as crianças põem os cestos à porta da capitania às três.",
    "pl": "Łódź rybacka wraca o świcie. Żona rybaka czeka już na brzegu, ponieważ mężczyźni mają dużo pracy.",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy. Loď připlouvá každý večer a rybáři vykládají ryby.",
    "hu": "Az öreg halász minden reggel kihajózik. Őszi viharban a tűzhely mellett ülnek.",
    "tr": "Gemi her gün saat beşte kalkıyor. İlkbaharda tekneler kıyıya çekilir. Işıklar söndü.",
    "ru": "Паром ходит каждый день, кроме воскресенья. Весной лодки вытаскивают на берег.",
    "uk": "Пором ходить щодня, крім неділі. Навесні човни витягують на берег. Її господар живе біля моря.",
    "el": "Το πλοίο φεύγει κάθε μέρα εκτός από την Κυριακή. Την άνοιξη οι βάρκες βγαίνουν στη στεριά.",
    "he": "הספינה יוצאת בכל יום מלבד שבת. באביב מושכים את הסירות אל החוף כדי לצבוע אותן.",
    "ar": "تغادر العبارة كل يوم ما عدا يوم الأحد. في الربيع تسحب القوارب إلى الشاطئ لطلاء القاع.",
    "th": "เรือข้ามฟากออกทุกวันยกเว้นวันอาทิตย์ ในฤดูใบไม้ผลิชาวประมงจะลากเรือขึ้นฝั่งเพื่อทาสีใหม่",
    "ja": "フェリーは日曜日を除いて毎日運航しています。春になると船を陸に上げて塗り直します。",
    "zh": "渡轮除星期日外每天开航。春天，人们把船拖到岸上，重新给船底上漆。渔民住在海边的小村庄里。",
    "zh-Hant": "渡輪除星期日外每天開航。春天，人們把船拖到岸上，重新給船底上漆。漁民住在海邊的小村莊裡。",
    "ko": "여객선은 일요일을 제외하고 매일 운항합니다. 봄이 되면 배를 뭍으로 끌어올려 바닥을 칠합니다.",
}
LEGACY = [
    ("en", "cp1252", "windows-1252"),
    ("café", "cp1252", "windows-1252"),
    ("café", "mac_roman", "Mac Roman"),
    ("de", "cp1252", "windows-1252"),
    ("de", "iso8859_15", "windows-1252"),
    ("de", "cp850", "IBM850"),
    ("fr", "cp1252", "windows-1252"),
    ("es", "cp1252", "windows-1252"),
    ("pt", "cp1252", "windows-1252"),
    ("pl", "cp1250", "windows-1250"),
    ("pl", "iso8859_2", "ISO-8859-2"),
    ("cs", "cp1250", "windows-1250"),
    ("cs", "iso8859_2", "ISO-8859-2"),
    ("hu", "cp1250", "windows-1250"),
    ("tr", "cp1254", "windows-1254"),
    ("ru", "cp1251", "windows-1251"),
    ("ru", "koi8_r", "KOI8-R"),
    ("ru", "iso8859_5", "ISO-8859-5"),
    ("ru", "cp866", "IBM866"),
    ("uk", "cp1251", "windows-1251"),
    ("uk", "koi8_u", "KOI8-U"),
    ("el", "cp1253", "windows-1253"),
    ("he", "cp1255", "windows-1255"),
    ("ar", "cp1256", "windows-1256"),
    ("th", "cp874", "windows-874"),
    ("ja", "shift_jis", "Shift_JIS"),
    ("ja", "euc_jp", "EUC-JP"),
    ("ja", "iso2022_jp", "ISO-2022-JP"),
    ("zh", "gb18030", "GB18030"),
    ("zh-Hant", "big5", "Big5"),
    ("ko", "euc_kr", "EUC-KR"),
]


@pytest.mark.parametrize(("language", "codec", "name"), LEGACY)
@pytest.mark.parametrize("times", [1, 500])
def test_the_encoding_is_found_and_said(language: str, codec: str, name: str, times: int) -> None:
    data = (f"# Title\n\n{TEXTS[language]}\n" * times).encode(codec)
    found = to_text("a.md", data)
    assert found.text == data.decode(codec)
    (note,) = found.notes
    assert note.startswith(f"is read as {name}, ")
    assert note.endswith("save it as UTF-8")


@pytest.mark.parametrize("language", TEXTS)
def test_utf_8_is_silent_and_a_mark_is_believed(language: str) -> None:
    text = TEXTS[language]
    assert to_text("a.txt", text.encode()) == Text(text)
    assert to_text("a.txt", codecs.BOM_UTF8 + text.encode()) == Text(text)
    for codec in ("utf-16", "utf-32"):
        found = to_text("a.rst", text.encode(codec))
        assert found == Text(text, (f"is read as {codec.upper()}, as its mark says: save it as UTF-8",))
    big = codecs.BOM_UTF16_BE + text.encode("utf-16-be")
    assert to_text("a.rst", big).text == text


def test_line_ends_are_one() -> None:
    assert to_text("a.md", b"a\r\nb\rc\n\r\n").text == "a\nb\nc\n\n"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"one\ntwo\nthree \x00", r"holds U\+0000 at 3:7"),
        (b"one\r\ntwo\r\nthree \x1b[2J", r"holds U\+001B at 3:7"),
        ("ab\ufffe".encode(), r"holds U\+FFFE at 1:3"),
        (b"caf\xe9\n\x00", r"is no text: it holds U\+0000 at 2:1"),
        ("Orrin is an island.".encode("utf-16-le"), r"holds U\+0000 at 1:2"),
        (codecs.BOM_UTF16_LE + b"a\x00b", r"begins as UTF-16 and is none: byte 4 is wrong"),
        (codecs.BOM_UTF8 + b"caf\xe9", r"begins as UTF-8 and is none: byte 6 is wrong"),
        ("Fähre, Küste, Öl\nund Größe".encode() + b"\xff", r"is not UTF-8: byte 0xff at 2:10"),
        (bytes(range(1, 256)) * 20, "encoding cannot be told|holds U"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, told: str) -> None:
    with pytest.raises(Unreadable, match=told) as caught:
        to_text("a.txt", data)
    assert caught.value.mend


def test_a_large_file_is_judged_by_a_part_of_it() -> None:
    line = "Nothing but plain words stands in this line.\n"
    data = (line * 100_000 + TEXTS["fr"] + "\n").encode("cp1252")
    assert to_text("a.txt", data).text.endswith("3 €.\n")


def test_a_page_of_html_may_say_its_encoding() -> None:
    page = '<html><head><meta charset="{}"></head><body><p>{}</p></body></html>'
    for codec, name in (("koi8_r", "koi8-r"), ("cp1251", "windows-1251"), ("utf-8", "utf-8")):
        found = to_text("a.html", page.format(name, "Паром, всё").encode(codec))
        assert found == Text("Паром, всё")
    # As browsers do, what calls itself Latin-1 is windows-1252; what is UTF-8 in spite of it, is UTF-8 not.
    assert to_text("a.html", page.format("iso-8859-1", "“é”").encode("cp1252")) == Text("“é”")
    # A codec of Python's own that is no encoding of pages, or one that does not fit, is not believed.
    assert to_text("a.html", page.format("rot13", "Orrin").encode()) == Text("Orrin")
    assert to_text("a.html", page.format("euc-jp", TEXTS["de"]).encode("cp1252")).notes


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff\ufeff"))
)
def test_what_is_written_as_utf_8_is_read_the_same(text: str) -> None:
    assert to_text("a.md", text.encode()) == Text(text)
