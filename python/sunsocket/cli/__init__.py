"""The command ``sunsocket``. One file for each of its commands."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys

from . import _streams, run

__all__ = ["main"]


def _version() -> str:
    from .._core import __version__

    return __version__


class _Version(argparse.Action):
    def __init__(self, option_strings: list[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"sunsocket {_version()}")
        parser.exit()


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    _streams.open_closed()
    said = io.StringIO()
    try:
        words = _with_command(sys.argv[1:] if argv is None else argv)
        with contextlib.redirect_stdout(said):
            options = _parser().parse_args(words)
        status: int = options.run(options, words)
    except SystemExit as ended:
        # argparse ends so, after --help too.
        status = int(ended.code or 0)
    except KeyboardInterrupt:
        # Before the script or after it: there is nothing to be closed.
        status = 128 + signal.SIGINT
    if said.getvalue():
        status = _streams.say(said.getvalue(), status)
    if argv is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # All that is left is Python's own end: Ctrl-C ends that without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if status == _streams.BROKEN_PIPE:
        _streams.end_by_broken_pipe()
    return status


def _with_command(words: list[str]) -> list[str]:
    """What stands where a command is wanted and is none belongs to ``run``: a script or one of its flags."""
    first = words[0] if words else "--help"
    if first in ("run", "-h", "--help", "--version"):
        return words
    if not (first.startswith("-") or first.endswith((".luau", ".lua")) or os.path.exists(first)):
        _streams.complain(f"sunsocket: {first!r} is neither a command nor a file; sunsocket --help lists the commands")
        raise SystemExit(2)
    return ["run", *words]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sunsocket",
        description="Runs Luau scripts that are written against the sUNC WebSocket class.",
        epilog="examples:\n  sunsocket run bot.luau\n  sunsocket run --local-echo examples/on_message.luau\n"
        "  sunsocket bot.luau (which is sunsocket run bot.luau)",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", description="sunsocket COMMAND --help tells more"
    )
    run.add_parser(commands)

    def no_command(*_: object) -> int:
        _streams.complain(parser.format_help().rstrip("\n"))
        return 2

    parser.set_defaults(run=no_command)
    return parser
