"""Talk to the tuned model beside the base model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from feldspar.errors import DatasetError
from feldspar.text import printable
from feldspar.types import Message

Speak = Callable[[Sequence[Message]], str]
"""Answers a conversation: its last message is the user's."""

HELP = "Ask something. /new starts over, /quit (or end of input) ends."


def chat(base: Speak, tuned: Speak, ask: Callable[[], str], show: Callable[[str, str], None]) -> int:
    """Put each question to both models, each going on with its own conversation.

    A conversation that a model can no longer read whole is told of, and both start over.

    Args:
        base: The model before.
        tuned: The model after.
        ask: Gives the person's next line; EOFError ends the talk.
        show: Called with who speaks (`base`, `tuned` or `feldspar`) and the text.

    Returns:
        How many questions were answered.
    """
    talks: dict[str, tuple[Speak, list[Message]]] = {"base": (base, []), "tuned": (tuned, [])}
    answered = 0
    show("feldspar", HELP)
    while True:
        try:
            line = ask().strip()
        except EOFError:
            return answered
        if line in ("/quit", "/exit"):
            return answered
        if line == "/new":
            _forget(talks)
            show("feldspar", "A new conversation.")
        elif line.startswith("/"):
            show("feldspar", HELP)
        elif line:
            try:
                for name, (speak, talk) in talks.items():
                    talk.append(Message("user", line))
                    text = speak(tuple(talk))
                    talk.append(Message("assistant", text))
                    # A model can write what a terminal would obey.
                    show(name, printable(text))
                answered += 1
            except DatasetError as error:
                _forget(talks)
                show("feldspar", f"{error.what}. A new conversation.")


def _forget(talks: Mapping[str, tuple[Speak, list[Message]]]) -> None:
    for _, talk in talks.values():
        talk.clear()
