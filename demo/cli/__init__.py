"""``python -m demo``: every capability without a browser.

Answers go to standard output, progress and problems to standard error. Exit status 2 means that the input
cannot be used; the last line says why.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import demo
from demo.cli import attack, benchmark, compare, evaluate, finetune, gallery, identify, study, train, weights
from demo.errors import DemoError

#: One module per command or family of commands, in the order that --help shows.
COMMANDS = (identify, compare, attack, gallery, evaluate, study, weights, train, finetune, benchmark)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parsed = _parser().parse_args(arguments)
    try:
        return parsed.run(parsed) or 0
    except DemoError as error:
        print(f"{parsed.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description=demo.__doc__)
    parser.add_argument("--version", action="version", version=demo.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add(commands)
    return parser
