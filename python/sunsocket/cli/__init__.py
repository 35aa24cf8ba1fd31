"""The command ``sunsocket``. One file for each of its commands."""

from __future__ import annotations

import argparse
import sys

from . import run

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
    parser = argparse.ArgumentParser(
        prog="sunsocket",
        description="Runs Luau scripts that are written against the sUNC WebSocket class.",
        epilog="examples:\n  sunsocket run bot.luau\n  sunsocket run --local-echo examples/on_message.luau",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", description="sunsocket COMMAND --help tells more"
    )
    run.add_parser(commands)
    options = parser.parse_args(argv)
    if options.command is None:
        parser.print_help(sys.stderr)
        return 2
    status: int = options.run(options)
    return status
