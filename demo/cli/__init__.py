"""``python -m demo``: every capability without a browser.

Answers go to standard output, progress and problems to standard error. Exit status 2 means that the input
cannot be used; the last line says why.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

import demo
from demo.errors import DemoError

#: Command → its module here, in the order that --help shows.
COMMANDS = {"identify": "identify", "compare": "compare", "attack": "attack", "gallery": "gallery",
            "evaluate": "evaluate", "study": "study", "weights": "weights", "train-h2l": "train",
            "finetune": "finetune", "benchmark": "benchmark"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parsed = _parser(arguments[0] if arguments else "").parse_args(arguments)
    try:
        return parsed.run(parsed) or 0
    except DemoError as error:
        print(f"{parsed.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _parser(first: str) -> argparse.ArgumentParser:
    """The parser of the command that ``first`` names, or of all: only what is needed is imported, to start quickly."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=demo.__doc__)
    parser.add_argument("--version", action="version", version=demo.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in [COMMANDS[first]] if first in COMMANDS else COMMANDS.values():
        import_module(f"demo.cli.{module}").add(commands)
    return parser
