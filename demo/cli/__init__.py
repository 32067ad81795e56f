"""``python -m demo``, or ``face-match`` once installed: every capability without a browser.

Answers go to standard output, progress and problems to standard error. Exit status 2 means that the input
cannot be used; the last line says why.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import demo
from demo.cli.boundary import Ended, ending
from demo.cli.output import stand_any_letter

#: Command → its module here, in the order that --help shows.
COMMANDS = {"identify": "identify", "compare": "compare", "attack": "attack", "gallery": "gallery",
            "evaluate": "evaluate", "study": "study", "weights": "weights", "train-h2l": "train",
            "train-visibility": "visibility", "calibrate": "calibrate",
            "finetune": "finetune", "benchmark": "benchmark", "app": "app"}


#: The console command of an installed demo (pyproject.toml).
SCRIPT = "face-match"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    first = arguments[0] if arguments else ""
    stand_any_letter()
    try:
        with ending(first):
            parsed = _parser(first).parse_args(arguments)  # reads the settings, which may be wrong too
            status = parsed.run(parsed) or 0
            sys.stdout.flush()
            return status
    except Ended as ended:
        return ended.code


def _parser(first: str) -> argparse.ArgumentParser:
    """The parser of the command that ``first`` names, or of all: only what is needed is imported, to start quickly."""
    # Left to itself, argparse calls python -m demo "__main__.py".
    prog = SCRIPT if Path(sys.argv[0]).stem == SCRIPT else "python -m demo"
    parser = argparse.ArgumentParser(prog=prog, description=demo.__doc__)
    parser.add_argument("--version", action="version", version=demo.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in [COMMANDS[first]] if first in COMMANDS else COMMANDS.values():
        import_module(f"demo.cli.{module}").add(commands)
    return parser
