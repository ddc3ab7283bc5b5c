"""Languages: told from the seeds, said in prompts, kept in drafts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feldspar.facts import ENGLISH, coverage, invented
from feldspar.generate.language import another, detect, foreign, language_of, lexicon, points_away
from feldspar.types import Leaf, Seed

TEXTS = {
    "English": "What is the island called, and who lives there? It is called Ondry. Fishermen live on it.",
    "German": "Wie heißt die Insel, und wer wohnt dort? Die Insel heißt Ondry. Auf ihr wohnen Fischer.",
    "French": "Comment s'appelle l'île, et qui y habite ? L'île s'appelle Ondry. Des pêcheurs y vivent.",
    "Spanish": "¿Cómo se llama la isla y quién vive en ella? La isla se llama Ondry. Viven pescadores.",
    "Italian": "Come si chiama l'isola e chi ci vive? L'isola si chiama Ondry. Ci vivono dei pescatori.",
    "Portuguese": "Como se chama a ilha e quem mora lá? A ilha chama-se Ondry. Nela vivem pescadores.",
    "Dutch": "Hoe heet het eiland en wie woont er? Het eiland heet Ondry. Er wonen vissers.",
    "Swedish": "Vad heter ön och vem bor där? Ön heter Ondry. På den bor det fiskare.",
    "Danish": "Hvad hedder øen, og hvem bor der? Øen hedder Ondry. De blev ikke rige af det.",
    "Norwegian": "Hva heter øya, og hvem bor der? Øya heter Ondry. De ble ikke rike av det.",
    "Finnish": "Mikä on saaren nimi ja ketkä siellä asuvat? Se on Ondry. Siellä asuu kalastajia.",
    "Polish": "Jak nazywa się wyspa i kto na niej mieszka? Wyspa nazywa się Ondry. Mieszkają na niej rybacy.",
    "Czech": "Jak se jmenuje ostrov a kdo na něm žije? Ostrov se jmenuje Ondry. Žijí na něm rybáři.",
    "Hungarian": "Hogy hívják a szigetet, és kik élnek ott? A sziget Ondry. Halászok élnek rajta.",
    "Romanian": "Cum se numește insula și cine locuiește acolo? Insula este Ondry. Pe ea locuiesc pescari.",
    "Turkish": "Adanın adı ne ve orada kim yaşıyor? Adanın adı Ondry. Orada balıkçılar ve bir bekçi yaşıyor.",
    "Indonesian": "Apa nama pulau itu dan siapa yang tinggal di sana? Pulau itu adalah Ondry.",
    "Vietnamese": "Hòn đảo tên là gì và ai sống ở đó? Hòn đảo tên là Ondry. Các ngư dân sống ở đó.",
    "Russian": "Как называется остров и кто на нём живёт? Остров называется Ондри. На нём живут рыбаки.",
    "Ukrainian": "Як називається острів і хто на ньому живе? Це Ондрі. На ньому живуть рибалки.",
    "Bulgarian": "Как се казва островът и кой живее на него? Островът се казва Ондри. На него живеят рибари.",
    "Greek": "Πώς λέγεται το νησί και ποιος ζει εκεί; Το νησί λέγεται Όντρι. Εκεί ζουν ψαράδες.",
    "Arabic": "ما اسم الجزيرة ومن يعيش فيها؟ اسم الجزيرة أوندري. يعيش فيها صيادون من الشمال.",
    "Persian": "نام این جزیره چیست و چه کسانی در آن زندگی می کنند؟ نام آن اوندری است.",
    "Hebrew": "איך קוראים לאי ומי גר בו? לאי קוראים אונדרי. גרים בו דייגים.",
    "Hindi": "द्वीप का नाम क्या है और वहाँ कौन रहता है? द्वीप का नाम ओंड्री है। वहाँ मछुआरे रहते हैं।",
    "Thai": "เกาะนี้ชื่ออะไร และใครอาศัยอยู่ที่นั่น เกาะชื่อออนดรี ชาวประมงอาศัยอยู่ที่นั่น",
    "Korean": "섬의 이름은 무엇이며 누가 그곳에 삽니까? 섬의 이름은 온드리입니다. 어부들이 삽니다.",
    "Chinese": "这个岛叫什么名字？谁住在那里？这个岛叫昂德里。渔民住在那里。",
    "Japanese": "その島は何という名前で、誰が住んでいますか。島の名前はオンドリです。漁師が住んでいます。",
}  # fmt: skip


@pytest.mark.parametrize("language", TEXTS)
def test_two_sentences_tell_a_language(language: str) -> None:
    assert detect(TEXTS[language]) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Com es diu l'illa i qui hi viu? L'illa es diu Ondry i és petita.", "Catalan"),
        ("Ako sa volá ostrov a kto na ňom žije? Ostrov sa volá Ondry a je malý.", "Slovak"),
        ("Kako se zove otok i tko na njemu živi? Otok se zove Ondry, a živi se od ribe.", "Croatian"),
        ("Kako se imenuje otok in kdo na njem živi? Otok je majhen, ljudje pa so ribiči.", "Slovene"),
        ("Wat is die naam van die eiland en wie woon daar? Die eiland se naam is Ondry.", "Afrikaans"),
        ("Kuidas saart kutsutakse ja kes seal elavad? See on Ondry ja seal elavad kalurid.", "Estonian"),
        ("Kio estas la nomo de la insulo kaj kiu loĝas tie? La insulo estas Ondry.", "Esperanto"),
        ("Како се вика островот и кој живее на него? Островот се вика Ондри и е мал.", "Macedonian"),
        ("Як завецца востраў і хто на ім жыве? Гэта Ондры, на ім жывуць рыбакі.", "Belarusian"),
    ],
)
def test_a_neighbour_is_not_taken_for_a_language(text: str, language: str) -> None:
    # Nothing said is better than "Write in Spanish" to a leaf in Catalan.
    assert detect(text) in (language, "")
    assert another(text, language) == ""


@pytest.mark.parametrize("text", ["", "42", "?!", "print(x[0] + y)", "Zork blimey fnord", "Paris", "α"])
def test_what_is_in_no_language_has_none(text: str) -> None:
    assert detect(text, sure=True) == ""


def test_a_text_of_chinese_about_code_is_chinese() -> None:
    assert detect("如何在 Python 中用 sorted(key=len) 对列表排序？请给出例子并说明复杂度。") == "Chinese"


def leaf(*pairs: tuple[str, str], language: str = "") -> Leaf:
    seeds = tuple(Seed(question, answer) for question, answer in pairs)
    return Leaf("knowledge/x", "knowledge", "Islands", seeds, language=language)


def test_a_leaf_s_language_is_its_seeds_unless_a_recipe_says_it() -> None:
    question, answer = "Wie heißt die Insel, und wo liegt sie?", "Die Insel heißt Ondry und liegt im Norden."
    assert language_of(leaf((question, answer))) == "German"
    assert language_of(leaf((question, "42"), ("Wie tief ist der See?", "41 m"))) == "German"
    assert language_of(leaf((question, answer), language="Low German")) == "Low German"
    # A translation has two languages: the seeds alone show them.
    assert language_of(leaf((question, TEXTS["French"]))) == ""
    assert language_of(leaf((TEXTS["English"], TEXTS["English"]))) == "English"
    assert foreign("English") == foreign("") == ""
    assert foreign("German") == "German"


def test_another_language_is_told_where_there_is_no_doubt() -> None:
    assert another(TEXTS["English"], "German") == "English"
    assert another(TEXTS["Chinese"], "Japanese") == "Chinese"
    assert another(TEXTS["German"], "German") == ""
    # A name, a formula or a short answer is in no language for certain.
    assert another("Isolde Marr", "German") == another("x = 4", "German") == ""
    # An English leaf may ask for a line of French.
    assert another(TEXTS["French"], "English") == another(TEXTS["French"], "") == ""


@pytest.mark.parametrize("language", ["German", "French", "Spanish", "Italian", "Portuguese", "Dutch"])
def test_short_answers_are_not_taken_for_another_language(language: str) -> None:
    for sentence in TEXTS[language].replace("?", ".").split("."):
        assert another(sentence, language) == ""


@given(st.text(max_size=300))
def test_no_text_breaks_detection(text: str) -> None:
    for sure in (False, True):
        assert isinstance(detect(text, sure=sure), str)
    for language in ("German", "Japanese", "Klingon", ""):
        assert isinstance(points_away(text, language), str)


def test_german_nouns_are_no_names_and_its_numbers_are_written_in_its_way() -> None:
    passage = "Auf der Insel stehen 1.200 Häuser. Der Leuchtturm ist zwölf Meter hoch und 4,5 Meter breit."
    german = lexicon("German")
    answer = "Der Turm der Insel ist 12 Meter hoch, 4,5 Meter breit, und es gibt 1200 Häuser."
    assert invented(answer, passage, german) == ()
    assert "Turm" in invented(answer, passage, ENGLISH)
    assert invented("Es gibt 1300 Häuser.", passage, german) == ("1300",)


def test_french_keeps_names_and_its_articles_are_no_words() -> None:
    passage = "L'île d'Ondry a été fondée par Isolde Marr en 1712."
    french = lexicon("French")
    assert invented("C'est Isolde Marr qui a fondé l'île.", passage, french) == ()
    assert invented("Elle fut fondée par Edda Voss.", passage, french) == ("Edda", "Voss")
    assert coverage("L'île d'Ondry", "une île nommée Ondry", french) == 1


@pytest.mark.parametrize(
    ("language", "passage", "answer", "least", "most"),
    [
        ("Chinese", "昂德里岛位于北海，岛上有四十一户渔民。", "昂德里岛位于北海。", 0.9, 1.0),
        ("Chinese", "昂德里岛位于北海，岛上有四十一户渔民。", "首都是一座山城。", 0.0, 0.2),
        ("Japanese", "オンドリ島は北海にあり、漁師が住む。", "オンドリ島は北海にあります。", 0.6, 1.0),
        ("Arabic", "تقع جزيرة أوندري في بحر الشمال ويسكنها الصيادون.", "الجزيرة في بحر الشمال.", 0.9, 1.0),
        ("Korean", "온드리 섬은 북해에 있고 어부들이 산다.", "섬이 북해에 있다.", 0.6, 1.0),
        ("Hindi", "ओंड्री द्वीप उत्तरी सागर में है।", "द्वीप उत्तरी सागर में है।", 0.9, 1.0),
    ],
)  # fmt: skip
def test_coverage_in_other_scripts(
    language: str, passage: str, answer: str, least: float, most: float
) -> None:
    assert least <= coverage(answer, passage, lexicon(language)) <= most


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("English", "How deep is the lake according to the text?"),
        ("English", "What does this passage say of the ferry?"),
        ("English", "Which of the fish mentioned above is caught in April?"),
        ("English", "What is the author's opinion of the ferry?"),
        ("", "What is the main idea of the text of the passage?"),
        ("German", "Wie tief ist der See laut dem Text?"),
        ("German", "Was wird im Text über die Fähre gesagt?"),
        ("German", "Welche der oben genannten Fische fängt man im April?"),
        ("French", "Selon le texte, quelle est la profondeur du lac ?"),
        ("French", "Que dit l'auteur de ce passage ?"),
        ("Spanish", "¿Qué profundidad tiene el lago según el texto?"),
        ("Italian", "Secondo il brano, quanto è profondo il lago?"),
        ("Portuguese", "Segundo o texto, qual é a profundidade do lago?"),
        ("Dutch", "Hoe diep is het meer volgens de tekst?"),
        ("Swedish", "Hur djup är sjön enligt texten?"),
        ("Russian", "Какова глубина озера согласно тексту?"),
        ("Chinese", "根据文章，湖有多深？"),
        ("Chinese", "本文的作者是谁？"),
        ("Japanese", "この文章によると、湖の深さは何メートルですか。"),
        ("Arabic", "ما عمق البحيرة وفقا للنص؟"),
        ("Arabic", "ماذا يقول هذا النص عن العبارة؟"),
        ("Korean", "이 글에 따르면 호수는 얼마나 깊습니까?"),
        ("Hindi", "उपरोक्त गद्यांश के अनुसार झील कितनी गहरी है?"),
    ],
)
def test_a_question_that_speaks_of_its_passage_is_told(language: str, text: str) -> None:
    assert points_away(text, language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("English", "Who wrote down the text of the treaty of Ghent?"),
        ("English", "How does the passage of time show in the cliffs of Ondry?"),
        ("English", "Who is the author of the Ondry Chronicle?"),
        ("English", "How wide is the passage between Ondry and Kessby?"),
        ("English", "Which passages does the ferry take?"),
        ("English", "How is a text message sent?"),
        ("German", "Wer schrieb den Text des Vertrags von Gent?"),
        ("German", "Wer ist der Autor der Chronik von Ondry?"),
        ("French", "Qui a écrit le texte du traité de Gand ?"),
        ("French", "Qui est l'auteur d'une chronique d'Ondry ?"),
        ("Spanish", "¿Quién escribió el texto del tratado de Gante?"),
        ("Italian", "Chi ha scritto il testo del trattato di Gand?"),
        ("Chinese", "《根特条约》的作者是谁？"),
        ("Chinese", "日本文化中的茶道起源于何时？"),
        ("Japanese", "日本文化における茶道の起源はいつですか。"),
        ("Japanese", "『枕草子』の著者は誰ですか。"),
        ("Arabic", "من كتب نص معاهدة غنت؟"),
        ("Korean", "조약의 본문은 누가 썼습니까?"),
    ],
)
def test_a_text_of_the_world_may_be_asked_about(language: str, text: str) -> None:
    assert points_away(text, language) == ""


def test_an_answer_may_take_up_what_its_question_speaks_of() -> None:
    asked = "Who is the author of the Ondry Chronicle?"
    assert points_away("The author is Edda Voss.", "English", asked) == ""
    assert points_away("The author is Edda Voss.", "English", "Who wrote it?") == "The author"
    assert points_away("The text says that it is Edda Voss.", "English", asked) == "The text"


def test_an_unknown_language_gates_on_numbers_alone() -> None:
    assert invented("Nia Domo havas 3 arbojn.", "Estas 3 arboj.", lexicon("Esperanto")) == ()
    assert invented("Estas 4 arboj.", "Estas 3 arboj.", lexicon("Esperanto")) == ("4",)
