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
            check_text(what, auth)
            return auth or None
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
    check_text(f"{what}: the user name or the password", user + password)
    return user, password


def check_text(what: str, text: str) -> None:
    """Refuses what has no UTF-8 form. Python's own error would hold the text, also as the context of another one."""
    try:
        text.encode()
        return
    except UnicodeEncodeError:
        pass
    raise ValueError(f"{what} has no UTF-8 form")


def _from_netrc(url: str) -> Credentials | None:
    """What the file that ``NETRC`` names, or ``~/.netrc``, has for the host."""
    import netrc
    import os
    from urllib.parse import urlsplit

    path = os.environ.get("NETRC")
    # Outside of the handlers: these errors may hold what is in the file, and would be the context of ours.
    try:
        entries, wrong = netrc.netrc(path) if path else netrc.netrc(), ""
    except OSError as error:
        wrong = f"the file {error.filename!r} cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        wrong = "the file is not UTF-8"
    except netrc.NetrcParseError as error:
        # Without a line it is about who may read the file.
        wrong = f"the file {error.filename!r} is wrong in line {error.lineno}" if error.lineno else error.msg
    if wrong:
        raise ValueError(f'auth="netrc": {wrong}')
    try:
        host = urlsplit(url).hostname
    except ValueError:
        # The engine says what is wrong with the address.
        return None
    found = entries.authenticators(host or "")
    return (found[0] or "", found[2] or "") if found and any(found) else None
