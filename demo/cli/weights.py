"""``weights``: which trained weights are here, and how to get the others."""

from __future__ import annotations

from pathlib import Path

from demo.checkpoints import check_file
from demo.cli import card
from demo.identify import json_text
from demo.settings import settings
from demo.weights import FILES, get, progress_bar, status


def add(commands) -> None:
    weights = commands.add_parser("weights", help="which trained weights are here, and how to get the others")
    actions = weights.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="every weights file: where it is, or how to get it")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=_weights_list)
    fetch = actions.add_parser("get", help="download a file that has a public address")
    fetch.add_argument("name", choices=FILES, metavar="NAME", help=", ".join(FILES))
    fetch.set_defaults(run=_weights_get)
    check = actions.add_parser("check", help="which network a file holds, and whether it is whole")
    check.add_argument("file", type=Path, metavar="FILE")
    check.set_defaults(run=_weights_check)
    card.add(actions)


def _weights_list(parsed) -> None:
    found = status(settings().weights)
    if parsed.json:
        print(json_text([{"name": state.file.name, "file": state.file.filename, "title": state.file.title,
                          "licence": state.file.licence, "ready": state.path is not None,
                          "path": str(state.path) if state.path else None, "how": state.how} for state in found]))
        return
    for state in found:
        print(f"{state.file.name:<18} {'ready' if state.path else 'missing':<8} {state.file.title}")
        print(f"{'':<18} {state.path or state.how}")
        print(f"{'':<18} licence: {state.file.licence}")


def _weights_get(parsed) -> None:
    with progress_bar(parsed.name) as progress:
        path = get(parsed.name, progress, settings().weights)
    print(f"{parsed.name} is ready: {path}")


def _weights_check(parsed) -> None:
    checked = check_file(parsed.file, settings().weights)
    unknown = ("the published file's hash is not known" if checked.file.name in FILES
               else "trained here, so there is no published file to compare it with")
    published = {True: "it is the published file", False: "it is not the published file",
                 None: unknown}[checked.published]
    print(f"{checked.path.name}: {checked.file.title}, {checked.parameters:,} parameters, {checked.size:,} bytes")
    print(f"SHA-256 {checked.sha256}: {published}.")
