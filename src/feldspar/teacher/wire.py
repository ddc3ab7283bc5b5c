"""One HTTP exchange with an endpoint: bytes out, an answer or the fault that it ended in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from feldspar.teacher.answers import Answer, Fault
from feldspar.teacher.endpoints import Patience

NOTHING = "Start the server, or mend teacher.endpoints."
_LARGEST_BODY = 64 << 20  # bytes; a chat completion is far below
_LLAMA = "llama.cpp"
"""What its server calls itself. A connection that is kept open keeps one of its few threads busy there:
requests on other connections then wait behind the idle ones, for good if those never end."""


@dataclass(slots=True)
class Wire:
    """The connections to one endpoint, made when they are needed.

    Args:
        url: the base URL.
        api_key: sent as a bearer token; empty: no header.
        patience: the time-outs.
    """

    url: str
    api_key: str
    patience: Patience
    _session: aiohttp.ClientSession | None = None
    _closing: set[asyncio.Task[None]] = field(default_factory=set)
    _urls: dict[str, URL] = field(default_factory=dict)
    llama: bool = False
    """Whether llama.cpp answers there: each request gets a connection, and any model's name is right."""

    async def post(self, path: str, body: bytes) -> Answer | Fault:
        """Posts JSON to a path under the base URL."""
        return await self._exchange("POST", self.url + path, body, None, _LARGEST_BODY)

    async def get(
        self, path: str, timeout: float | None = None, largest: int = _LARGEST_BODY
    ) -> Answer | Fault:
        """Gets a path under the base URL, or a whole URL; `timeout` in seconds."""
        url = path if "://" in path else self.url + path
        return await self._exchange("GET", url, None, timeout, largest)

    def drop(self) -> None:
        """Breaks off whatever is in flight, so that it can go elsewhere."""
        if self._session is not None:
            task = asyncio.get_running_loop().create_task(self._session.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            self._session = None

    async def close(self) -> None:
        """Closes the connections."""
        self.drop()
        await asyncio.gather(*self._closing)

    async def _exchange(
        self, verb: str, url: str, body: bytes | None, timeout: float | None, largest: int
    ) -> Answer | Fault:
        where = self.url
        if (address := self._urls.get(url)) is None:
            address = self._urls[url] = URL(url)
        options: dict[str, Any] = {"allow_redirects": False, "data": body}
        if timeout is not None:
            options["timeout"] = aiohttp.ClientTimeout(total=timeout)
        if self.llama and verb == "POST":
            options["headers"] = {"Connection": "close"}
        try:
            async with self._connected().request(verb, address, **options) as response:
                self.llama = response.headers.get("Server") == _LLAMA
                return Answer(response.status, response.headers, await _bounded(response, largest))
        except aiohttp.ClientSSLError:
            return Fault(
                "setup", f"{where}: the TLS connection fails.", "Is it http, or its certificate unknown?"
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Fault("gone", f"nothing answers at {where}.", NOTHING)
        except aiohttp.InvalidURL:
            return Fault("setup", f"{where} is no URL.", NOTHING)
        except aiohttp.ClientResponseError:
            return Fault("down", f"what answers at {where} does not speak HTTP.", NOTHING)
        except TimeoutError:
            return Fault("wait", f"{where} has not answered within {timeout or self.patience.request:g} s.")
        except (aiohttp.ClientError, OSError) as error:
            return Fault("wait", f"{where} broke off ({type(error).__name__}).")

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            limits = aiohttp.ClientTimeout(total=self.patience.request, sock_connect=self.patience.connect)
            headers = {"Content-Type": "application/json"}
            if self.api_key:
                headers["Authorization"] = f"Bearer {self.api_key}"
            # The turns bound the requests; a second bound here would only make them queue unseen.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=limits,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=headers,
            )
        return self._session


async def _bounded(response: aiohttp.ClientResponse, largest: int) -> bytes:
    """The body; a `ClientPayloadError` if it is larger than any answer can be."""
    length = response.content_length
    # A compressed body has another length than what comes out of it.
    if length is not None and length <= largest and "Content-Encoding" not in response.headers:
        return await response.read()
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > largest:
            raise aiohttp.ClientPayloadError("too large")
        parts.append(part)
    return b"".join(parts)
