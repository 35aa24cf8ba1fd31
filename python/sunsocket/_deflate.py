"""Compression of messages: permessage-deflate (RFC 7692)."""

from __future__ import annotations

from ._record import record


@record
class Deflate:
    """How permessage-deflate is offered, or what was agreed of it (:attr:`WebSocket.compression`).

    Attributes:
        level: 0 (stored) to 9 (smallest); the cost grows with it.
        memory_level: 1 (least memory) to 9 (most), of our compressor.
        client_window_bits: The base-2 logarithm of our window, 9 to 15; the server may ask for less, down to 8. None is
            15, and the offer does not name ``client_max_window_bits``, which some servers refuse.
        server_window_bits: The largest window that the server may use, 9 to 15; ours has room for 15 whatever it is.
        client_context_takeover: False begins each of our messages anew: larger messages, no memory between them.
        server_context_takeover: False asks the server to begin each of its messages anew.
    """

    level: int = 6
    memory_level: int = 8
    client_window_bits: int | None = 15
    server_window_bits: int = 15
    client_context_takeover: bool = True
    server_context_takeover: bool = True


#: What each number may be in an offer.
RANGES = {
    "level": (0, 9),
    "memory_level": (1, 9),
    "client_window_bits": (9, 15),
    "server_window_bits": (9, 15),
}


#: The fields of a :class:`Deflate` in their order.
Offer = tuple[int, int, int | None, int, bool, bool]


def offer(compression: object) -> Offer | None:
    """The option ``compression`` as the engine wants it.

    Raises:
        TypeError: Neither "deflate" nor a :class:`Deflate` nor None.
        ValueError: A number out of its range.
    """
    if compression is None:
        return None
    if compression == "deflate":
        compression = Deflate()
    if not isinstance(compression, Deflate):
        raise TypeError(f'compression is "deflate", a sunsocket.Deflate(...) or None, not {compression!r}')
    for name, (least, most) in RANGES.items():
        value = getattr(compression, name)
        if value is None and name == "client_window_bits":
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"compression: {name} is a whole number, not {type(value).__name__}")
        if not least <= value <= most:
            raise ValueError(f"compression: {name} is a number from {least} to {most}, not {value}")
    return (
        compression.level,
        compression.memory_level,
        compression.client_window_bits,
        compression.server_window_bits,
        bool(compression.client_context_takeover),
        bool(compression.server_context_takeover),
    )


def parse(text: str) -> Deflate | None:
    """An offer as the command line has it: "none", or "deflate" and, after semicolons, parameters of RFC 7692 7.1.

    ``client_max_window_bits=none`` leaves that parameter out of the offer.

    Raises:
        ValueError: It is neither.
    """
    name, *parameters = (part.strip() for part in text.split(";"))
    if name == "none" and not parameters:
        return None
    if name != "deflate":
        raise ValueError(f'compression is "none" or "deflate", not {text!r}')
    values: dict[str, int | bool | None] = {}
    for parameter in parameters:
        key, equals, value = (part.strip() for part in parameter.partition("="))
        if key in ("client_no_context_takeover", "server_no_context_takeover") and not equals:
            values[key.replace("no_", "")] = False
        elif (key, value) == ("client_max_window_bits", "none"):
            values["client_window_bits"] = None
        elif key in ("client_max_window_bits", "server_max_window_bits") and value.isdecimal():
            values[key.replace("max_", "")] = int(value)
        else:
            raise ValueError(f"compression has no parameter {parameter!r}")
    deflate = Deflate(**values)  # type: ignore[arg-type]
    offer(deflate)
    return deflate
