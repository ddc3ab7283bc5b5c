"""Numbers, names and content words: what grounds an answer, and what recall counts."""

from __future__ import annotations

import pytest

from feldspar.facts import ENGLISH, Lexicon, content_words, holds, invented, names, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Forty-two boats, 1,200 nets", ["42", "boat", "1200", "net"]),
        ("seventy\nthree", ["73"]),
        ("thirty forty five", ["30", "45"]),
        ("twenty", ["20"]),
        ("The crew was 20. Five drowned.", ["the", "crew", "was", "20", "5", "drown"]),
        ("Of the twenty, one stayed", ["of", "the", "20", "1", "stay"]),
    ],
)
def test_number_words_join_only_side_by_side(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_neighbouring_numbers_are_both_held() -> None:
    assert holds("The crew was 20. Five drowned.", "20")
    assert holds("The crew was 20. Five drowned.", "five")
    assert not holds("The crew was 20. Five drowned.", "25")


def test_content_words_leave_stop_words_out_and_join_nothing_over_them() -> None:
    assert content_words("Twenty of the five boats") == {"20", "5", "boat"}


OTHER = Lexicon(frozenset({"der", "die"}), names=False, number_words=("null", "", "zwei"), english=False)


@pytest.mark.parametrize(
    ("text", "lexicon", "expected"),
    [
        # A script without blanks is read in pairs, in every language.
        ("湖は41米深い", ENGLISH, ["湖は", "41", "米深", "深い"]),
        ("Python言語", ENGLISH, ["python", "言語"]),
        # Vowel signs belong to their words, digits of any script are digits.
        ("बूढ़ा कमरा ४२", ENGLISH, ["बूढ़ा", "कमरा", "42"]),
        ("الكِتاب ٤١", OTHER, ["كتاب", "41"]),
        # Elsewhere endings are cut by length, and marks for thousands and decimals are told by their places.
        ("Die Häuser der Fischerinnen", OTHER, ["die", "häuse", "der", "fisch"]),
        ("1.200 und 4,5 und zwei", OTHER, ["1200", "und", "4.5", "und", "2"]),
        ("l'été d’Ondry dell'isola", OTHER, ["été", "ondry", "isola"]),
        ("섬은 섬이 북해에", OTHER, ["섬", "섬", "북해"]),
    ],
)
def test_words_of_other_languages_and_scripts(text: str, lexicon: Lexicon, expected: list[str]) -> None:
    assert tokens(text, lexicon) == expected


def test_facts_in_scripts_without_blanks_are_held() -> None:
    assert holds("東京都にある", "東京")
    assert not holds("京都にある", "東京")
    assert invented("湖深57米", "湖深41米") == ("57",)


def test_a_lexicon_says_whether_capitals_are_names() -> None:
    assert names("Auf der Insel steht ein Turm") == ("Insel", "Turm")
    assert names("Auf der Insel steht ein Turm", OTHER) == ()


def test_names_of_other_languages() -> None:
    keeps = Lexicon(frozenset(), names=True, english=False)
    assert names("¿Llega el barco a Dunn? «Siempre»", keeps) == ("Dunn",)
    # A genitive is the name still.
    assert invented("Dunns hamn och Ondrys kyst", "Färjan går från Dunn till Ondry", keeps) == ()


def test_several_words_are_held_in_their_order_alone() -> None:
    assert holds("It was Edda Voss.", "Edda Voss")
    assert not holds("It was Voss, said Edda.", "Edda Voss")
    assert not holds("It was nobody.", "")
