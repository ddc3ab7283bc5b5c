"""What a server's answer means: a reply, a fault to wait out, or something a person must mend."""

from __future__ import annotations

import difflib
import email.utils
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from feldspar.errors import TeacherError
from feldspar.teacher.api import Reply, Request, readable
from feldspar.teacher.likely import alternatives_in

Kind = Literal["wait", "overload", "gone", "down", "setup", "missing", "refused"]
"""`wait`: transport, tried again. `overload`: alive, with too much to do. `gone`: nothing answers
there. `down`: nonsense does.
`setup`: a person must mend something. `missing`: 404. `refused`: the request itself is rejected.
After a first success of the process, `gone`, `down`, `setup` and `missing` are waited out too."""

_LONGEST_WORDS = 300
_LONGEST_WAIT = 3600.0
_LONGEST_DURATION = 32
_LARGEST_COUNT = 2**53
_MOST_MODELS = 8
_OK, _REDIRECT, _CLIENT_ERROR, _SERVER_ERROR = 200, 300, 400, 500
_MISSING = {404, 501}
"""Nothing of that path, or no such verb: a server of other things, or another model's name."""
_OVERLOAD = {429, 503, 529}
_PASSING = {408, 425}
_SLOW = {408, 504, 524}
_KEY, _SPENT, _FORBIDDEN = 401, 402, 403
_SPENT_WORDS = re.compile("insufficient_quota|credit_balance|billing_hard_limit")
"""Of an error's type or code: 429 means too fast, and with these that money is spent."""
_OF_REQUEST = re.compile("guideline|moderat|flagged|safety|violat|max_tokens|context", re.I)
"""In the words of a 403: some hosts answer so to what their filter minds, or to what is too long."""
_CACHE_FULL = "Context size has been exceeded"
"""llama.cpp's 500 to all requests at work at once when they fill the cache that they share."""
_BROKEN_OFF = {"error", "abort", "insufficient_system_resource"}
_CUT_OFF = {"model_length", "max_tokens"}
_SPELLINGS = {"max_tokens": "max_completion_tokens", "seed": "", "temperature": "", "top_p": ""}
"""What some hosts do not take, with what it is called there; empty: nothing."""
_FIELD = re.compile(rf"\b({'|'.join(_SPELLINGS)})\b")
_NOT_TAKEN = re.compile(
    "unsupported|not support|unknown name|unrecognized|unexpected|extra.?(?:inputs|forbidden)", re.I
)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PARTS = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_DURATION = re.compile(f"(?:{_PARTS.pattern})+")
_REFUSED = {400, 413, 422}
_CONTEXT = re.compile(
    r"context|too long|too many tokens|maximum length|max_model_len|exceed\w* .*token", re.I
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """Why there is no reply."""

    kind: Kind
    what: str
    """A sentence that begins with the endpoint's URL."""
    mend: str = ""
    wait: float = 0.0
    """Seconds that the server asked for."""
    words: str = ""
    """The server's own."""
    slow: bool = False
    """Whether the server, or what stands before it, found that it took too long."""

    def error(self) -> TeacherError:
        """The fault as an exception."""
        return TeacherError(self.what, self.mend)


class Unlisted(Fault):
    """A model that is not on the server's list."""


def read_answer(answer: Answer, url: str, key_env: str, api_key: str) -> Reply | Fault:
    """The reply in a server's answer, or the fault that it is. The key never gets into a fault."""
    status = answer.status
    if status < _REDIRECT and status >= _OK:
        return _reply(answer, url, key_env, api_key)
    words = words_of(answer.body, api_key)
    return _fault(status, words, _kinds(answer.body), answer.headers, url, key_env)


def _fault(status: int, words: str, kinds: str, headers: Mapping[str, str], url: str, key_env: str) -> Fault:
    """What a status means; `kinds`: the type and the code that the server calls the error by."""
    what, wait = f"{url} answers {status}: {words}", asked_wait(headers)
    if status == _SPENT or (status in _OVERLOAD and _SPENT_WORDS.search(kinds)):
        return Fault("setup", what, "Add credit there, then run the same command again.", words=words)
    if status == _KEY or (status == _FORBIDDEN and not _OF_REQUEST.search(words)):
        mend = f"Put the right key into the environment variable {key_env}."
        return Fault("setup", f"{url} answers {status}: the key is missing or not accepted ({words}).", mend)
    if status in _MISSING:
        return Fault("missing", what, words=words)
    if status in _OVERLOAD or (status >= _SERVER_ERROR and _CACHE_FULL in words):
        return Fault("overload", what, wait=wait)
    if status in _PASSING or status >= _SERVER_ERROR:
        return Fault("wait", what, wait=wait, words=words, slow=status in _SLOW)
    if status in _REFUSED or status == _FORBIDDEN:
        return Fault("refused", what, words=words)
    if status < _CLIENT_ERROR:
        mend = "Redirects are not followed: give the address that serves the API itself."
        return Fault("setup", f"{url} answers {status}, a redirect.", mend)
    return Fault("setup", what, words=words)


def _kinds(body: bytes) -> str:
    """The type and the code of an error, as far as it has them."""
    value = parsed(body)
    error = value.get("error") if isinstance(value, dict) else None
    told = (error.get(name) for name in ("type", "code")) if isinstance(error, dict) else ()
    return " ".join(one for one in told if isinstance(one, str))


def minded(words: str) -> tuple[str, str] | None:
    """The field of a request that the server's words say it does not take, with its name there."""
    found = _FIELD.search(words) if _NOT_TAKEN.search(words) else None
    return (found.group(), _SPELLINGS[found.group()]) if found else None


def _reply(answer: Answer, url: str, key_env: str, api_key: str) -> Reply | Fault:
    value = parsed(answer.body)
    if value is None:
        return not_json(answer, url)
    try:
        choice = value["choices"][0]
        text = choice["message"]["content"]
        finish = choice.get("finish_reason")
    except (LookupError, TypeError, AttributeError):
        return _error_inside(value, answer, url, key_env, api_key)
    if isinstance(text, list):
        text = _joined(text)
    if text is not None and not isinstance(text, str):
        return Fault("down", f"{url} answers with a message that is no text.", _V1)
    finish = readable(finish) if isinstance(finish, str) else ""
    if finish in _BROKEN_OFF or isinstance(choice.get("error"), dict):
        return Fault("wait", f"{url} broke a reply off.", words=finish or "error")
    if finish == "content_filter":
        return Fault("refused", f"{url}: the reply fell to a content filter.", words=finish)
    usage = value.get("usage")
    return Reply(
        readable(text or ""),
        "length" if finish in _CUT_OFF else finish,
        _count(usage, "prompt_tokens"),
        _count(usage, "completion_tokens"),
        alternatives=alternatives_in(choice),
    )


def _error_inside(value: Any, answer: Answer, url: str, key_env: str, api_key: str) -> Fault:
    """A 200 without a reply: a router that had begun to answer tells an error there."""
    error = value.get("error") if isinstance(value, dict) else None
    if not isinstance(error, dict):
        return Fault("down", f"{url} answers JSON that is no chat completion.", _V1)
    code = error.get("code")
    status = code if type(code) is int and _CLIENT_ERROR <= code < 2 * _REDIRECT else _SERVER_ERROR
    words = words_of(answer.body, api_key)
    return _fault(status, words, _kinds(answer.body), answer.headers, url, key_env)


def _joined(parts: list[Any]) -> str | None:
    """The text of a message in parts; what the model thought is none of it."""
    texts = [one.get("text") for one in parts if isinstance(one, dict) and one.get("type") == "text"]
    told = [text for text in texts if isinstance(text, str)]
    return "".join(told) if told else None


_V1 = "Does the URL end in /v1, and does an OpenAI-compatible server listen there?"


def not_json(answer: Answer, url: str) -> Fault:
    """The fault of an answer that cannot be read as JSON."""
    if "html" in answer.headers.get("Content-Type", "").lower() or _is_page(answer.body):
        return Fault("setup", f"{url} answers HTML, not the OpenAI API: does the URL end in /v1?")
    return Fault("down", f"{url} answers what is not JSON.", _V1)


def _is_page(body: bytes) -> bool:
    return body[:200].lstrip().lower().startswith((b"<!doctype", b"<html"))


def parsed(body: bytes) -> Any:
    """The JSON value, None if it is none; `null` is none, too."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _count(usage: object, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and 0 <= value < _LARGEST_COUNT else 0


def words_of(body: bytes, api_key: str) -> str:
    """What the server says in an error, on one line, cut, without the key."""
    value = parsed(body)
    if _is_page(body):
        text = "a page of HTML"
    elif isinstance(value, dict):
        error = value.get("error", value)
        found = error.get("message", error.get("detail")) if isinstance(error, dict) else error
        text = found if isinstance(found, str) else json.dumps(value)
        behind = error.get("metadata") if isinstance(error, dict) else None
        if isinstance(behind, dict) and isinstance(behind.get("raw"), str):
            text += f" ({behind['raw']})"  # A router's words; behind it are the host's.
    else:
        text = body[:4000].decode("utf-8", "replace")
    if api_key:
        text = text.replace(api_key, "***")
    text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())[:_LONGEST_WORDS] or "(no words)"


def retry_after(value: str) -> float:
    """Seconds that a Retry-After header asks for: a number, or a date. 0 if it says neither."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return min(_LONGEST_WAIT, seconds) if seconds > 0 else 0.0


def asked_wait(headers: Mapping[str, str]) -> float:
    """Seconds that a server asks to be left alone for; 0 if it does not say.

    From Retry-After-Ms, Retry-After, or the reset of the limit that is used up (OpenAI's form).
    """
    millis = retry_after(headers.get("Retry-After-Ms", "")) / 1000
    if asked := millis or retry_after(headers.get("Retry-After", "")):
        return asked
    resets = [
        _duration(headers.get(f"x-ratelimit-reset-{what}", ""))
        for what in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{what}", "").strip() == "0"
    ]
    return min(_LONGEST_WAIT, max(resets, default=0.0))


def _duration(text: str) -> float:
    """Seconds of a duration such as 6m0s or 20ms; 0 if it is none."""
    if len(text) > _LONGEST_DURATION or not _DURATION.fullmatch(text.strip()):
        return 0.0
    return sum(float(number) * _UNITS[unit] for number, unit in _PARTS.findall(text))


def models_in(body: bytes) -> list[str] | None:
    """The ids that `GET /models` lists; None if it is no such list."""
    value = parsed(body)
    listed = value.get("data") if isinstance(value, dict) else None
    if not isinstance(listed, list):
        return None
    return [m["id"] for m in listed if isinstance(m, dict) and isinstance(m.get("id"), str)]


def unknown_model(url: str, model: str, listed: Sequence[str]) -> Unlisted:
    """The fault of a model that the server does not serve, with those that it does, nearest first."""
    # A server may say anything here.
    looked = [name[:100] for name in listed[:1000]]
    near = difflib.get_close_matches(model, looked, n=_MOST_MODELS, cutoff=0.4)
    shown = [*near, *(name for name in looked if name not in near)][:_MOST_MODELS]
    more = f" and {len(listed) - len(shown)} more" if len(listed) > len(shown) else ""
    safe = "".join(c if c.isprintable() else " " for c in ", ".join(shown))
    mend = f"It serves: {safe}{more}. Set teacher.model to one of them." if shown else "It serves no model."
    return Unlisted("setup", f"{url} does not serve the model {model!r}.", mend)


def refusal(fault: Fault, request: Request, api_key: str) -> TeacherError:
    """The error for a request that the server rejects, naming its size where that is why."""
    if not _CONTEXT.search(fault.words):
        return fault.error()
    size = sum(len(m.content) for m in request.messages)
    last = " ".join(request.messages[-1].content.split())[:80] if request.messages else ""
    if api_key:
        last = last.replace(api_key, "***")
    return TeacherError(
        f"A request of {len(request.messages)} messages and {size} characters (about {size // 4} tokens), "
        f"with room for {request.max_tokens} tokens of reply, is too long. {fault.what}",
        f"Use smaller passages or a larger context. Its last message begins: {last!r}",
    )
