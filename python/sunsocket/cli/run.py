"""``sunsocket run``: runs a Luau script."""

from __future__ import annotations

import argparse
import contextlib
import functools
import ipaddress
import itertools
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from .. import _core, _deflate, _options
from .._errors import TLSError
from . import _streams

EPILOG = """\
exit status:
  0    the script has ended
  1    its main thread failed (with --exit-on-error: any thread or handler), it has a syntax error, the
       system lacks what running it takes, or standard output cannot be written
  2    nothing was run: a flag is wrong, a file cannot be read, or the extra echo is missing
  129, 130, 143
       SIGHUP, Ctrl-C (SIGINT) or SIGTERM came; open sockets were closed with 1001
  141  nobody reads standard output any more (SIGPIPE); open sockets were closed with 1001

examples:
  sunsocket run bot.luau
  sunsocket run bot.luau one two
  sunsocket run --local-echo hello.luau
  sunsocket run --resolve example.com:443:127.0.0.1:8443 --cacert ca.pem bot.luau
"""


def _resolve(text: str) -> tuple[str, int, str]:
    """HOST:PORT:ADDRESS[:PORT], as curl has it; an IPv6 address stands in brackets."""
    problem = argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT:ADDRESS[:PORT]")
    host, colon, rest = text.partition(":")
    port, colon2, address = rest.partition(":")
    # A host of any other form is in no URL: the entry would be there in vain.
    if not (re.fullmatch(r"[A-Za-z0-9._-]+", host) and colon and colon2 and port.isdecimal() and 0 < int(port) < 65536):
        raise problem
    if address.startswith("["):
        ip, bracket, tail = address[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise problem
        other = tail.removeprefix(":")
    else:
        ip, _, other = address.partition(":")
    other = other or port
    try:
        parsed = ipaddress.ip_address(ip)
    except ValueError:
        raise problem from None
    if not (other.isdecimal() and 0 < int(other) < 65536):
        raise problem
    literal = f"[{parsed}]" if parsed.version == 6 else str(parsed)
    return host, int(port), f"{literal}:{int(other)}"


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f'{text!r} is not "Name: value"')
    header = name.strip(), value.strip(" \t")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"the header {header[0]!r} is not valid UTF-8") from None
    if header[0].lower() == "sec-websocket-protocol":
        raise argparse.ArgumentTypeError("the header Sec-WebSocket-Protocol cannot be set by scripts in this version")
    try:
        _core.check_script_options(headers=[header], ca_data=None)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("cannot connect to ws://localhost/: ")) from None
    return header


def _compression(text: str) -> _deflate.Offer | None:
    try:
        return _deflate.offer(_deflate.parse(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _redirects(text: str) -> int:
    try:
        return _options.check_redirects(int(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 (follow none) to 100") from None


def _fps(text: str) -> int:
    if not (re.fullmatch(r"[0-9]{1,4}", text) and 1 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000")
    return int(text)


def _proxy(text: str) -> str | None:
    if text == "none":
        return None
    try:
        _core.check_proxy(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("proxy: ")) from None
    return text


def add_parser(commands: Any) -> None:
    """Adds the command to the parser of all commands."""
    parser = commands.add_parser(
        "run",
        usage="sunsocket run [OPTIONS] FILE [ARGS ...]",
        help="run a Luau script",
        description="Runs a Luau script until no thread of it will run any more and no socket is open.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("script", metavar="FILE", help="the script")
    args = parser.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER, help="its arguments, its ...")
    # Everything behind FILE is the script's, so that argparse counts it as required: it is not to say so.
    args.required = False
    actions: list[argparse.Action] = []

    def add_flag(name: str, **keywords: Any) -> None:
        actions.append(parser.add_argument(name, **keywords))

    add_flag(
        "--resolve",
        metavar="HOST:PORT:ADDRESS[:PORT]",
        type=_resolve,
        action="append",
        default=[],
        help="connect to this address for that host and port (may be repeated)",
    )
    add_flag("--cacert", metavar="FILE", help="trust the certificates in this PEM file, not the system's")
    add_flag("--insecure", action="store_true", help="accept any certificate")
    add_flag(
        "--header",
        metavar='"NAME: VALUE"',
        type=_header,
        action="append",
        default=[],
        help="send this header with each opening handshake (may be repeated)",
    )
    add_flag(
        "--compression",
        metavar="OFFER",
        type=_compression,
        default="deflate",
        help='offer compression: "deflate", with parameters of RFC 7692 after semicolons, or "none" (default: deflate)',
    )
    add_flag(
        "--max-redirects",
        metavar="N",
        type=_redirects,
        default=_options.DEFAULTS["max_redirects"],
        help="follow so many redirects in an opening handshake; 0 follows none (default: %(default)s)",
    )
    add_flag(
        "--redirect-header",
        metavar="NAME",
        action="append",
        default=[],
        help="send this --header on to another origin, too, where a redirect leads there (may be repeated)",
    )
    add_flag(
        "--fps",
        metavar="N",
        type=_fps,
        default=60,
        help="have N frames a second, in which threads go on that wait for a time (default: %(default)s)",
    )
    add_flag(
        "--proxy",
        metavar="URL",
        type=_proxy,
        default="auto",
        help="connect through this proxy (http, https, socks4, socks4a, socks5 or socks5h), through none, or as the "
        "variables WSS_PROXY, HTTPS_PROXY, WS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say (default: auto)",
    )
    add_flag(
        "--exit-on-error",
        action="store_true",
        help="end with status 1 at the first error that nothing catches, in whatever thread or handler",
    )
    add_flag(
        "--local-echo",
        action="store_true",
        help="send every connection to an echo server in this process, TLS included (needs the extra echo)",
    )
    parser.set_defaults(
        run=functools.partial(_run, {action.option_strings[0]: action.nargs != 0 for action in actions})
    )


class _Unusable(Exception):
    """A file that the command was given cannot be used."""


def _fail(text: str, status: int = 2) -> int:
    _streams.complain(f"sunsocket run: {text}")
    return status


@contextlib.contextmanager
def _opened(path: str, what: str) -> Iterator[IO[bytes]]:
    """Opens a file, or says why that or what is done with it cannot be done.

    Raises:
        _Unusable: It cannot be.
    """
    if not os.path.exists(path):
        raise _Unusable(f"{what} {path!r} does not exist")
    if os.path.isdir(path):
        raise _Unusable(f"{what} {path!r} is a directory")
    try:
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        raise _Unusable(f"{what} {path!r} cannot be read: {error.strerror}") from None


def _certificates(path: str) -> bytes:
    """What is in the file of ``--cacert``. It is read once: it may be a pipe.

    Raises:
        _Unusable: It cannot be read, or holds no certificates.
    """
    what = "the file of --cacert"
    with _opened(path, what) as file:
        pem = file.read()
    try:
        _core.check_script_options(headers=[], ca_data=pem)
    except TLSError as error:
        raise _Unusable(str(error).replace("ca_data", f"{what} {path!r}", 1)) from None
    return pem


def _misplaced(flags: Mapping[str, bool], script: str, args: list[str]) -> str | None:
    """What to say of flags that stand among a script's arguments. ``flags``: whether each takes a value."""
    before, behind, rest = [], [], iter(args)
    for word in rest:
        name, has_value, _ = word.partition("=")
        if word == "--":
            behind += [word, *rest]
        elif name not in flags:
            behind.append(word)
        elif flags[name] and not has_value:
            before += [word, *itertools.islice(rest, 1)]
        else:
            before.append(word)
    if not before:
        return None
    return (
        f"{before[0].partition('=')[0]} stands behind {script}, and so it goes to the script; a flag stands before it: "
        f"{shlex.join(['sunsocket', 'run', *before, script, *behind])}"
    )


def _run(flags: Mapping[str, bool], options: argparse.Namespace, words: list[str]) -> int:
    """Runs the script and returns the exit status. ``words``: what the command was given."""
    # Whoever writes "--" says that the script's arguments begin there.
    if "--" not in words[: len(words) - len(options.args)]:
        misplaced = _misplaced(flags, options.script, options.args)
        if misplaced is not None:
            _streams.complain(f"sunsocket run: {misplaced}")
    if options.local_echo and (options.cacert is not None or options.resolve):
        return _fail("--local-echo sends every connection to itself: leave --resolve and --cacert out")
    ca_data: bytes | None = None
    try:
        with _opened(options.script, "the script"):
            pass
        if options.cacert is not None:
            ca_data = _certificates(options.cacert)
    except _Unusable as problem:
        return _fail(str(problem))
    with contextlib.ExitStack() as stack:
        resolve: list[tuple[str, int, str]] = options.resolve
        server_hostname: str | None = None
        proxy: str | None = options.proxy
        if options.local_echo:
            from ..echo import EchoServer

            try:
                plain, secure = stack.enter_context(EchoServer()), stack.enter_context(EchoServer(tls=True))
            except ImportError as error:
                return _fail(str(error))
            except OSError as error:
                return _fail(f"the echo server of --local-echo cannot be started: {error.strerror or error}", status=1)
            resolve = [("ws://*", 0, f"127.0.0.1:{plain.port}"), ("wss://*", 0, f"127.0.0.1:{secure.port}")]
            ca_data = secure.ca_pem
            proxy = None
            # A URL may have a host that no certificate can be made for: a name with an underscore.
            server_hostname = "localhost"
        color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        return _core.run_script(
            os.fspath(Path(options.script)),
            [os.fsencode(arg) for arg in options.args],
            resolve=resolve,
            ca_data=ca_data,
            server_hostname=server_hostname,
            verify=not options.insecure,
            headers=options.header,
            compression=options.compression,
            max_redirects=options.max_redirects,
            redirect_headers=options.redirect_header,
            proxy=proxy,
            color=color,
            fps=options.fps,
            exit_on_error=options.exit_on_error,
        )
