"""The option ``auth``: credentials, a function that gives them afresh, or those of a ``.netrc`` file.

No error shows what it holds: it may end in a log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

Credentials = tuple[str, str]
#: The function returns credentials, or the whole value of the header ``Authorization``: ``"Bearer ..."``.
Auth = Credentials | Callable[[], Credentials | str] | Literal["netrc"]


def credentials(auth: Any, url: str) -> Credentials | str | None:
    """What is sent to ``url``; a str is the whole value of ``Authorization``.

    Raises:
        TypeError, ValueError: It cannot be used.
    """
    what = "auth"
    if auth == "netrc":
        auth = _from_netrc(url)
    elif callable(auth):
        auth, what = auth(), "what the function auth returns"
        if isinstance(auth, str):
            return auth
    match auth:
        case None:
            return None
        case (str(user), str(password)):
            pass
        case _ if hasattr(auth, "__await__"):
            close = getattr(auth, "close", None)
            if close is not None:
                close()
            raise TypeError(f"{what} has to be there at once and is awaited by nobody: get a token first, then connect")
        case _:
            values = (
                "(user, password) of str or a str" if what != "auth" else '(user, password) of str, a function, "netrc"'
            )
            raise TypeError(f"{what} is {values}, or None")
    try:
        f"{user}{password}".encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what}: the user name or the password has no UTF-8 form") from None
    return user, password


def _from_netrc(url: str) -> Credentials | None:
    """What the file that ``NETRC`` names, or ``~/.netrc``, has for the host."""
    import netrc
    import os
    from urllib.parse import urlsplit

    path = os.environ.get("NETRC")
    try:
        entries = netrc.netrc(path) if path else netrc.netrc()
    except OSError as error:
        raise ValueError(f'auth="netrc": the file {error.filename!r} cannot be read: {error.strerror}') from None
    except netrc.NetrcParseError as error:
        # Its text may quote the file.
        raise ValueError(f'auth="netrc": the file {error.filename!r} is wrong in line {error.lineno}') from None
    try:
        host = urlsplit(url).hostname
    except ValueError:
        # The engine says what is wrong with the address.
        return None
    found = entries.authenticators(host or "")
    return (found[0] or "", found[2] or "") if found else None
