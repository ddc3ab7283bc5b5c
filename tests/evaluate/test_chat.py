from __future__ import annotations

from collections.abc import Sequence

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


def test_quit_ends() -> None:
    assert chat(lambda _: "", lambda _: "", lambda: "/quit", lambda who, text: None) == 0
