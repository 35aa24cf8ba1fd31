"""What ``connect`` says to a keyword that it does not have: what other libraries call so is named as it is called here.

Imported by the first such keyword; a program that makes no mistake does without.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: What each is called here, for a sentence that begins with "here it is".
_CALLED = {
    "additional_headers": "headers=, a mapping or (name, value) pairs",
    "cookie": "cookies=, a mapping of names to values",
    "compress": 'compression="deflate", sunsocket.Deflate(...) or None',
    "extra_headers": "headers=, a mapping or (name, value) pairs",
    "header": "headers=, a mapping or (name, value) pairs",
    "heartbeat": "ping_interval=",
    "http_no_proxy": "proxy=",
    "http_proxy_auth": "proxy=",
    "http_proxy_host": "proxy=",
    "http_proxy_port": "proxy=",
    "keepalive_ping_interval_seconds": "ping_interval=",
    "keepalive_ping_timeout_seconds": "ping_timeout=",
    "max_msg_size": "max_message_size=",
    "max_queue": "max_held=(messages, bytes)",
    "max_size": "max_message_size=",
    "max_message_size_bytes": "max_message_size=",
    "protocols": "subprotocols=, a sequence of names",
    "ssl": "tls=sunsocket.TLS(...)",
    "ssl_context": "tls=sunsocket.TLS(...)",
    "sslopt": "tls=sunsocket.TLS(...)",
    "timeout": "open_timeout=",
    "user_agent_header": "user_agent=",
    # The fields of TLS.
    "ca_data": "tls=sunsocket.TLS(ca_data=...)",
    "ca_file": "tls=sunsocket.TLS(ca_file=...)",
    "cafile": "tls=sunsocket.TLS(ca_file=...)",
    "cert_file": "tls=sunsocket.TLS(cert_file=...)",
    "certfile": "tls=sunsocket.TLS(cert_file=...)",
    "key_file": "tls=sunsocket.TLS(key_file=...)",
    "keyfile": "tls=sunsocket.TLS(key_file=...)",
    "server_hostname": "tls=sunsocket.TLS(server_hostname=...)",
    "verify": "tls=sunsocket.TLS(verify=...)",
    "verify_ssl": "tls=sunsocket.TLS(verify=...)",
}

#: What is done in another way here.
_DONE_OTHERWISE = {
    "autoping": "pings of the server are always answered",
    "daemon": "it is for the class for threads alone: in a loop no socket keeps the program alive",
    "enable_multithread": "every method may be called from any thread",
    "loop": "a socket belongs to the loop in which connect() is awaited",
    "on_close": "connect a handler to the socket: ws.OnClose.Connect(handler)",
    "on_data": "connect a handler to the socket: ws.OnMessage.Connect(handler)",
    "on_error": "what went wrong is raised, and ws.error tells it when OnClose fires",
    "on_message": "connect a handler to the socket: ws.OnMessage.Connect(handler)",
    "on_open": "the socket is open when connect() returns: what is to follow is written behind it",
    "on_ping": "pings of the server are answered, without being told of",
    "on_pong": "ws.ping() waits for the pong",
    "warn_in_loop": "it is for the class for threads alone: here nothing blocks the loop",
    "receive_timeout": "say it where you wait: ws.recv(timeout=...)",
}


def describe(name: str, options: Iterable[str]) -> str:
    """The text of the error for the keyword ``name``; ``options`` are those that there are."""
    text = f"connect() has no option {name!r}"
    if name in _CALLED:
        return f"{text}; here it is {_CALLED[name]}"
    if name in _DONE_OTHERWISE:
        return f"{text}; {_DONE_OTHERWISE[name]}"
    options = sorted(options)
    if similar := difflib.get_close_matches(name, options, 1, 0.8):
        return f"{text}; did you mean {similar[0]!r}?"
    return f"{text}; it has {', '.join(options)}"
