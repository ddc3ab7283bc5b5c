from __future__ import annotations

from collections.abc import Sequence

from feldspar.errors import DatasetError
from feldspar.evaluate import chat
from feldspar.types import Message


def test_each_model_goes_on_with_its_own_conversation() -> None:
    lines = iter(["Hello", "", "/huh", "And then?", "/new", "Again"])
    said: list[tuple[str, str]] = []

    def ask() -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    def speak(name: str, messages: Sequence[Message]) -> str:
        own = [one.content for one in messages if one.role == "assistant"]
        assert all(text.startswith(name) for text in own)
        return f"{name} {len(messages)}: {messages[-1].content}"

    answered = chat(
        lambda messages: speak("old", messages),
        lambda messages: speak("new", messages),
        ask,
        lambda who, text: said.append((who, text)),
    )
    assert answered == 3
    assert [text for who, text in said if who == "base"] == [
        "old 1: Hello",
        "old 3: And then?",
        "old 1: Again",
    ]
    assert [text for who, text in said if who == "tuned"][1] == "new 3: And then?"


def test_a_conversation_that_grew_too_long_starts_over() -> None:
    lines = iter(["One", "Two", "Three", "/quit"])
    said: list[tuple[str, str]] = []

    def speak(messages: Sequence[Message]) -> str:
        if len(messages) > 2:
            raise DatasetError("the conversation takes 9 tokens; the model reads at most 8", "")
        return "Yes."

    assert chat(speak, speak, lambda: next(lines), lambda who, text: said.append((who, text))) == 2
    assert [who for who, _ in said[1:]] == ["base", "tuned", "feldspar", "base", "tuned"]
    assert "at most 8" in said[3][1]


def test_what_a_terminal_would_obey_is_not_shown() -> None:
    lines = iter(["Hello", "/quit"])
    said: list[str] = []
    chat(lambda _: "a\x1b[2Jb", lambda _: "c\x9bd", lambda: next(lines), lambda who, text: said.append(text))
    assert said[1:] == ["a\ufffd[2Jb", "c\ufffdd"]


def test_quit_ends() -> None:
    assert chat(lambda _: "", lambda _: "", lambda: "/quit", lambda who, text: None) == 0
