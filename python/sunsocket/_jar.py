"""A cookie jar of the standard library as the option ``cookies``: read before the handshake, filled after it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import _core

if TYPE_CHECKING:
    from http.cookiejar import CookieJar
    from urllib.request import Request


def is_jar(cookies: Any) -> bool:
    """Whether this is a jar; nothing is imported to find out."""
    return hasattr(cookies, "add_cookie_header") and hasattr(cookies, "extract_cookies")


def read(jar: CookieJar, url: str) -> list[tuple[str, str]]:
    """The cookies of the jar that belong to a WebSocket address; none where it is no such address, which others say."""
    try:
        request = _request(url)
        jar.add_cookie_header(request)
    except ValueError:
        return []
    pairs = (pair.partition("=") for pair in (request.get_header("Cookie") or "").split("; ") if pair)
    # What some server of the domain has set, and cannot be sent, is no reason to reach none of them.
    return [(name, value) for name, _, value in pairs if _core.is_cookie(name, value)]


def fill(cookies: Any, url: str, headers: Iterable[tuple[str, str]]) -> None:
    """Puts in what the server at the address has set, if this is a jar."""
    if not is_jar(cookies):
        return
    from email.message import Message

    message = Message()
    for name, value in headers:
        if name.lower() in ("set-cookie", "set-cookie2"):
            message[name] = value

    class Response:
        def info(self) -> Message:
            return message

    cookies.extract_cookies(Response(), _request(url))


def _request(url: str) -> Request:
    """The same address as a jar knows it: a cookie belongs to a host, whatever is spoken with it (RFC 6265 8.5)."""
    from urllib.parse import urlsplit
    from urllib.request import Request

    parts = urlsplit("http" + url[2:])
    # To a jar a user's name would be a part of the host.
    return Request(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl())
