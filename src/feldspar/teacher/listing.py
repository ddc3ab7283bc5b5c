"""What an endpoint says that it serves, and what that makes of its other answers."""

from __future__ import annotations

from dataclasses import replace

from feldspar.teacher.answers import Answer, Fault, models_in, not_json, parsed, read_answer, unknown_model
from feldspar.teacher.wire import Wire

_OK = 200
_KEY = {401, 403}


async def models_fault(wire: Wire, model: str, key_env: str) -> Fault | None:
    """Why an endpoint cannot serve the model, as far as its list of models tells."""
    answer = await wire.get("/models")
    if isinstance(answer, Fault):
        return answer if answer.kind in {"down", "gone", "setup"} else None
    if answer.status != _OK:
        outcome = read_answer(answer, wire.url, key_env, wire.api_key)
        # Any other status is a server that lacks this verb, or one that is busy.
        return outcome if isinstance(outcome, Fault) and answer.status in _KEY else None
    listed = models_in(answer.body)
    if listed is None:
        return not_json(answer, wire.url) if parsed(answer.body) is None else None
    return None if model in listed else unknown_model(wire.url, model, listed)


async def explained(fault: Fault, wire: Wire, model: str) -> Fault:
    """What a 404 means: another model's name, or another path."""
    answer = await wire.get("/models")
    listed = models_in(answer.body) if isinstance(answer, Answer) and answer.status == _OK else None
    if listed is None:
        return replace(fault, kind="setup", mend="Does the URL end in /v1, and is teacher.model right?")
    if model not in listed:
        return unknown_model(wire.url, model, listed)
    return replace(fault, kind="setup")
