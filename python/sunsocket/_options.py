"""The keywords of ``connect``: their defaults, their checks, and their way into the engine.

What can be known to be wrong is said here, before anything is sent.
"""

from __future__ import annotations

import contextvars
import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from . import _auth, _core, _deflate, _jar, _resolve
from ._auth import Auth
from ._deflate import Deflate
from ._tls import TLS, is_only_1_3, pins

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

Headers = Mapping[str, str] | Iterable[tuple[str, str]]
Cookies = Mapping[str, str] | Iterable[tuple[str, str]]
Address = str | tuple[str, int]
Resolve = Mapping[str, str] | Callable[[str, int], Address | Sequence[Address] | None]


class ConnectOptions(TypedDict, total=False):
    """The keywords of ``connect``; see :meth:`sunsocket.WebSocket.connect` for what they mean."""

    headers: Headers
    auth: Auth | None
    cookies: Cookies | CookieJar | None
    max_redirects: int
    redirect_headers: Sequence[str]
    subprotocols: Sequence[str]
    origin: str | None
    user_agent: str | None
    local_address: str | tuple[str, int] | None
    proxy: str | None
    tls: TLS | None
    compression: Literal["deflate"] | Deflate | None
    open_timeout: float | None
    close_timeout: float
    ping_interval: float | None
    ping_timeout: float | None
    max_message_size: int | None
    max_fragment_size: int | None
    max_held: tuple[int, int]
    write_limit: tuple[int, int]
    resolve: Resolve | None


DEFAULTS: dict[str, Any] = {
    "headers": (),
    "auth": None,
    "cookies": None,
    "max_redirects": 5,
    "redirect_headers": (),
    "subprotocols": (),
    "origin": None,
    "user_agent": f"sunsocket/{_core.__version__}",
    "local_address": None,
    "proxy": "auto",
    "tls": None,
    "compression": "deflate",
    "open_timeout": 10.0,
    "close_timeout": 10.0,
    "ping_interval": 20.0,
    "ping_timeout": 20.0,
    "max_message_size": 64 << 20,
    "max_fragment_size": None,
    "max_held": (1024, 16 << 20),
    "write_limit": (1 << 20, 256 << 10),
    "resolve": None,
}


def prepare(url: str, options: Mapping[str, Any]) -> _core.Options:
    """Checks the options and hands them to the engine.

    Raises:
        TypeError: An unknown keyword, or a value of the wrong type.
        ValueError: A value out of range.
        InvalidURL: ``url`` is not a WebSocket address.
    """
    if not isinstance(url, str):
        raise TypeError(f"url is a str like 'wss://example.com/path', not {type(url).__name__}")
    for name in options:
        if name not in DEFAULTS:
            raise _unknown(name)
    fields = dict(_DEFAULT_FIELDS)
    for name, value in options.items():
        fields.update(_fields(name, value))
    if "auth" in options:
        _add_auth(fields, _auth.credentials(options["auth"], url))
    if _jar.is_jar(options.get("cookies")):
        fields["cookies"] = _jar.read(options["cookies"], url)
    return _core.Options(url, **fields)


def _add_auth(fields: dict[str, Any], auth: _auth.Credentials | str | None) -> None:
    if not isinstance(auth, str):
        fields["auth"] = auth
        return
    if any(name.lower() == "authorization" for name, _ in fields["headers"]):
        raise ValueError("the option auth and a header Authorization say the same: give one of them")
    fields["headers"] = [*fields["headers"], ("Authorization", auth)]


def _unknown(name: str) -> TypeError:
    """What is said of a keyword that is no option; the names of other libraries are read for that alone."""
    from ._unknown import describe

    return TypeError(describe(name, DEFAULTS))


def _fields(name: str, value: Any) -> dict[str, Any]:
    """What the engine is given for one option."""
    if name == "tls":
        return _tls(value)
    return {name: _CHECKS[name](value)}


def _tls(tls: Any) -> dict[str, Any]:
    tls = tls if tls is not None else TLS()
    if not isinstance(tls, TLS):
        raise TypeError(f"tls is a sunsocket.TLS(...), not {type(tls).__name__}")
    return {
        "ca_file": _path("ca_file", tls.ca_file),
        "ca_data": _data("ca_data", tls.ca_data),
        "cert_file": _path("cert_file", tls.cert_file),
        "cert_data": _data("cert_data", tls.cert_data),
        "key_file": _path("key_file", tls.key_file),
        "key_data": _data("key_data", tls.key_data),
        "pins": pins(tls.pin),
        "only_tls_1_3": is_only_1_3(tls.min_version),
        "server_hostname": _text("server_hostname", tls.server_hostname),
        "verify": _flag("verify", tls.verify),
    }


def _write_limit(value: Any) -> tuple[int, int]:
    high, low = _pair("write_limit", value)
    if low > high:
        raise ValueError(f"write_limit is (high, low) with low <= high, not ({high}, {low})")
    return high, low


def _headers(headers: Any) -> list[tuple[str, str]]:
    pairs = list(headers.items()) if isinstance(headers, Mapping) else _list("headers", headers, "(name, value) pairs")
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
            # Without the value, which may be a secret and end in a log.
            if isinstance(pair, str):
                what = 'a line "Name: value" is written {"Name": "value"}'
            elif isinstance(pair, tuple) and len(pair) == 2:
                what = f"the value of {pair[0]!r} is something else"
            else:
                what = "one of them is something else"
            raise TypeError(f"headers is a mapping or a list of (name, value) pairs of str; {what}")
    return pairs


def _cookies(cookies: Any) -> list[tuple[str, str]]:
    """One value for each name, the last; no error shows it."""
    if cookies is None or _jar.is_jar(cookies):
        return []
    try:
        pairs = dict(cookies).items()
    except (TypeError, ValueError):
        raise TypeError("cookies is a mapping of names to values, (name, value) pairs, or a CookieJar") from None
    for name, value in pairs:
        if not isinstance(name, str):
            raise TypeError(f"the name of a cookie is a str, not {type(name).__name__}")
        if not isinstance(value, str):
            raise TypeError(f"the value of the cookie {name!r} is a str, not {type(value).__name__}")
        try:
            (name + value).encode()
        except UnicodeEncodeError:
            raise ValueError(f"the cookie {name!r} has no UTF-8 form") from None
    return list(pairs)


def _proxy(value: Any) -> str | None:
    proxy = _text("proxy", value)
    if proxy is not None:
        _auth.check_text("proxy: the address", proxy)
    return proxy


def _local_address(value: Any) -> tuple[str, int] | None:
    match value:
        case None:
            return None
        case str(host):
            return host, 0
        case (str(host), int(port)) if 0 <= port < 65536:
            return host, port
        case _:
            raise TypeError("local_address is an IP address of this machine, or that and a port, or None")


def check_redirects(value: Any) -> int:
    """The option ``max_redirects``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"max_redirects is a whole number, not {type(value).__name__}")
    if not 0 <= value <= 100:
        raise ValueError(f"max_redirects is a number from 0 (follow none) to 100, not {value}")
    return value


def _names(option: str, names: Any, what: str) -> list[str]:
    if isinstance(names, str):
        raise TypeError(f"{option} is a sequence of names: write [{names!r}]")
    checked: list[str] = []
    for name in _list(option, names, "names"):
        if not isinstance(name, str):
            raise TypeError(f"{what} is a str, not {type(name).__name__}")
        checked.append(name)
    return checked


def _list(name: str, value: Any, what: str) -> list[Any]:
    if value is None:
        return []
    try:
        return list(value)
    except TypeError:
        raise TypeError(f"{name} is a sequence of {what}, not {type(value).__name__}") from None


def _text(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} is a str or None, not {type(value).__name__}")
    return value


def _path(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, (str, bytes, os.PathLike)):
        raise TypeError(f"{name} is a path or None, not {type(value).__name__}")
    return None if value is None else os.fsdecode(value)


def _data(name: str, value: Any) -> bytes | None:
    if isinstance(value, str):
        return value.encode()
    if value is not None and not isinstance(value, bytes):
        raise TypeError(f"{name} is PEM text as str or bytes, or None, not {type(value).__name__}")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False, not {value!r}")
    return value


def check_timeout(timeout: float | None) -> float | None:
    """For what is awaited: a timeout that cannot be one is refused; one that has no end in sight is none."""
    if timeout is None:
        return None
    if not isinstance(timeout, (int, float)):
        raise TypeError(f"a timeout is a number of seconds or None, not {type(timeout).__name__}")
    if not timeout >= 0:
        raise ValueError(f"a timeout is a number of seconds from 0 up, or None; not {timeout}")
    return timeout if timeout < _NEVER else None


#: Seconds from which on a time has no end: thirty years.
_NEVER = 1e9


def _seconds(name: str, value: Any, *, optional: bool) -> float | None:
    if value is None and optional:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        none = " or None" if optional else ""
        raise TypeError(f"{name} is a number of seconds{none}, not {type(value).__name__}")
    if not value >= 0:
        raise ValueError(f"{name} is a number of seconds from 0 up, not {value}")
    if value < _NEVER:
        return float(value)
    return None if optional else _NEVER


def _positive(name: str, value: Any) -> float | None:
    seconds = _seconds(name, value, optional=True)
    if seconds == 0:
        raise ValueError(f"{name} is more than 0 seconds; None switches it off")
    return seconds


def _size(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is a number of bytes or None, not {type(value).__name__}")
    if value < 0:
        raise ValueError(f"{name} is a number of bytes from 0 up, not {value}")
    if value > sys.maxsize:
        raise ValueError(f"{name} is at most {sys.maxsize} bytes, or None for any size; not {value}")
    return value


def _pair(name: str, value: Any) -> tuple[int, int]:
    try:
        first, second = value
    except (TypeError, ValueError):
        raise TypeError(f"{name} is a pair of numbers, not {value!r}") from None
    for part in (first, second):
        if isinstance(part, bool) or not isinstance(part, int):
            raise TypeError(f"{name} is a pair of whole numbers, not {value!r}")
        if part < 1:
            raise ValueError(f"{name} is a pair of numbers from 1 up, not {value!r}")
        if part > sys.maxsize:
            raise ValueError(f"{name} is a pair of numbers up to {sys.maxsize}, not {value!r}")
    return first, second


def _split_address(text: str, what: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"resolve: {what} is written host:port with a port from 1 to 65535, not {text!r}")
    return host, int(port)


def _address(address: Any) -> tuple[str, int]:
    if isinstance(address, str):
        host, port = _split_address(address, "an address")
    else:
        match address:
            case (str(host), int(port)) if 0 < port < 65536:
                pass
            case _:
                raise TypeError(f"resolve: an address is 'address:port' or (address, port), not {address!r}")
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        raise ValueError(f"resolve: {host!r} is not an IP address") from None
    return host, port


def _key(key: Any) -> tuple[str, int]:
    if not isinstance(key, str):
        raise TypeError(f"resolve: a key is written 'host:port', or '*' for all; not {key!r}")
    return ("*", 0) if key == "*" else _split_address(key.lower(), "a key")


def _hand_over(
    resolve: list[tuple[str, int, str, int]] | _resolve.Function | None,
) -> list[tuple[str, int, str, int]] | tuple[_core.Asker, _resolve.Function] | None:
    return (_resolve.asker(), resolve) if callable(resolve) else resolve


def resolver(resolve: Any) -> list[tuple[str, int, str, int]] | _resolve.Function | None:
    """Both forms of ``resolve``, checked: a table, or a function that answers with addresses or, for DNS, with None."""
    if resolve is None:
        return None
    if isinstance(resolve, Mapping):
        return [(*_key(key), *_address(value)) for key, value in resolve.items()]
    if not callable(resolve):
        raise TypeError(f"resolve is a mapping or a function, not {type(resolve).__name__}")
    context = contextvars.copy_context()

    def ask(host: str, port: int) -> list[tuple[str, int]] | None:
        # On another thread, and perhaps twice at the same time: a context can be entered once.
        answer = context.copy().run(resolve, host, port)
        if answer is None:
            return None
        match answer:
            case str() | (_, int()):
                return [_address(answer)]
            case [*addresses]:
                return [_address(address) for address in addresses]
        raise TypeError(f"an address, a list of addresses or None was expected, not {answer!r}")

    return ask


#: How each option that is one field of the engine's is checked.
_CHECKS: dict[str, Callable[[Any], Any]] = {
    "headers": _headers,
    # It may depend on the address.
    "auth": lambda _: None,
    "cookies": _cookies,
    "max_redirects": check_redirects,
    "redirect_headers": lambda value: _names("redirect_headers", value, "a header's name"),
    "subprotocols": lambda value: _names("subprotocols", value, "a subprotocol"),
    "origin": lambda value: _text("origin", value),
    "user_agent": lambda value: _text("user_agent", value) or "",
    "local_address": _local_address,
    "proxy": _proxy,
    "compression": _deflate.offer,
    "open_timeout": lambda value: _seconds("open_timeout", value, optional=True),
    "close_timeout": lambda value: _seconds("close_timeout", value, optional=False),
    "ping_interval": lambda value: _positive("ping_interval", value),
    "ping_timeout": lambda value: _positive("ping_timeout", value),
    "max_message_size": lambda value: _size("max_message_size", value),
    "max_fragment_size": lambda value: _size("max_fragment_size", value),
    "max_held": lambda value: _pair("max_held", value),
    "write_limit": _write_limit,
    "resolve": lambda value: _hand_over(resolver(value)),
}

#: The defaults as the engine takes them: checked once, and not at every connect.
_DEFAULT_FIELDS = {
    field: checked for name, value in DEFAULTS.items() for field, checked in _fields(name, value).items()
}
