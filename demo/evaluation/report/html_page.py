"""The report as HTML: a page of its own with everything in it, or its parts for the app's page."""

from __future__ import annotations

import html
import re
from base64 import b64encode
from collections.abc import Callable, Iterable
from functools import singledispatch
from itertools import groupby

from demo.evaluation.report.document import TITLE, Block, Code, Columns, Document, Grid, Heading, Picture, Text
from demo.evaluation.report.plots import svg

#: Picture → its SVG.
Svg = Callable[[Picture], bytes]

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --muted: #57606a; --line: #d6dae0; --ground: #fff; --soft: #f5f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --muted: #a9b2bd; --line: #3a414b; --ground: #14171c; --soft: #1e232a; }
  .report.report figure img { filter: invert(1) hue-rotate(180deg); border-color: #ccc; } }
body { margin: 0 auto; max-width: 1160px; padding: 1rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
.report p, .report figcaption { max-width: 76ch; }
"""

#: Of the parts, wherever they stand. Who uses them defines the colours --ink, --muted, --line and --soft.
PARTS = """
.report h2 { margin: 2.2rem 0 .4rem; } .report h3 { margin: 1.4rem 0 .3rem; }
.report pre { background: var(--soft); padding: .6rem .8rem; border-radius: 8px; white-space: pre-wrap;
  overflow-wrap: anywhere; font-size: .85rem; }
.report .scroll { overflow-x: auto; margin: .5rem 0; }
.report.report .scroll table { border-collapse: collapse; font-size: .88rem; margin: 0; width: auto; }
.report.report .scroll :is(table, thead, tbody, tr) { border: 0; }
.report.report .scroll th, .report.report .scroll td { text-align: left; padding: .3rem .9rem .3rem 0;
  vertical-align: top; border: 0; border-bottom: 1px solid var(--line); font-size: .88rem; }
.report td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.report.report td code { font-size: .82rem; white-space: normal; }
.report code span { display: inline-block; overflow-wrap: anywhere; }
.report .note { color: var(--muted); font-size: .85rem; }
.report .pictures { display: flex; flex-wrap: wrap; gap: 1rem; margin: .8rem 0; align-items: flex-start; }
.report figure { margin: 0; flex: 0 1 460px; min-width: 0; }
.report .columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 0 2rem; }
.report .columns > * { min-width: 0; }
.report figure img { width: 100%; background: #fff; border: 1px solid var(--line); border-radius: 8px; }
.report figcaption { color: var(--muted); font-size: .85rem; text-align: left; }
.report summary { cursor: pointer; padding: .3rem 0; }
@media (max-width: 640px) {
  .report.report .scroll th, .report.report .scroll td { padding-right: .6rem; font-size: .82rem; }
  .report .cards :is(table, tbody, tr, td) { display: block; }
  .report .cards thead { display: none; }
  .report.report .cards tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  .report.report.report .cards td { border: 0; padding: .1rem 0; font-size: .88rem; }
  .report .cards td:first-child { font-weight: 600; }
  .report .cards td:nth-child(n+3)::before { content: attr(data-label) ": "; color: var(--muted); } }
"""
_NUMBER = re.compile(r"[-+−]?\d+(\.\d+)?( \(.*\))?%?")


def page(document: Document, drawn: Svg) -> str:
    """A page that needs nothing else."""
    return (f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{TITLE}</title>\n'
            f"<style>{STYLE}{PARTS}</style>\n</head>\n<body>\n<main class=\"report\">\n"
            f"{parts(document.blocks, drawn)}\n</main>\n</body>\n</html>\n")


def parts(blocks: Iterable[Block], drawn: Svg = lambda picture: svg(picture.plot)) -> str:
    """Blocks as HTML, pictures that follow each other side by side. drawn: where figures come from, if they are there
    already."""
    lines = []
    for pictures, run in groupby(blocks, lambda block: isinstance(block, Picture)):
        if pictures:
            figures = (_figure(block, drawn(block)) for block in run if isinstance(block, Picture))
            lines.append(f'<div class="pictures">{"".join(figures)}</div>')
        else:
            lines += (_columns(block, drawn) if isinstance(block, Columns) else _html(block) for block in run)
    return "\n".join(lines)


@singledispatch
def _html(block: Text) -> str:
    return f"<p>{_escaped(block.text)}</p>"


@_html.register
def _(block: Heading) -> str:
    return f"<h{block.level}>{_escaped(block.text)}</h{block.level}>"


@_html.register
def _(block: Code) -> str:
    return f"<pre><code>{'<br>'.join(map(_words, block.text.splitlines()))}</code></pre>"


@_html.register
def _(block: Grid) -> str:
    head = "".join(f'<th scope="col">{_escaped(name)}</th>' for name in block.columns)
    body = "\n".join(f"<tr>{''.join(map(_cell, row, block.columns))}</tr>" for row in block.rows)
    cards = " cards" if any(cell.startswith("`") and " " in cell for row in block.rows for cell in row) else ""
    label = f' aria-label="{html.escape(block.title, quote=True)}"' if block.title else ' aria-label="Table"'
    shown = (f'<div class="scroll{cards}" tabindex="0" role="group"{label}><table>\n<thead><tr>{head}</tr></thead>\n'
             f"<tbody>\n{body}\n</tbody>\n</table></div>")
    shown += f'\n<p class="note">{_escaped(block.note)}</p>' if block.note else ""
    if block.folded:
        return f"<details><summary>{_escaped(block.title)}</summary>\n{shown}\n</details>"
    return (f"<p><strong>{_escaped(block.title)}</strong></p>\n" if block.title else "") + shown


def _columns(block: Columns, drawn: Svg) -> str:
    return f'<div class="columns">{"".join(f"<div>{parts(column, drawn)}</div>" for column in block.columns)}</div>'


def _figure(block: Picture, data: bytes) -> str:
    alt = html.escape(f"{block.title}; the numbers are in the tables below.", quote=True)
    return (f'<figure><img src="data:image/svg+xml;base64,{b64encode(data).decode()}" alt="{alt}">'
            f"<figcaption>{_escaped(block.title)}</figcaption></figure>")


def _cell(text: str, column: str) -> str:
    label = f' data-label="{html.escape(column, quote=True)}"'
    if text.startswith("`") and text.endswith("`"):
        return f"<td{label}><code>{_words(text[1:-1])}</code></td>"
    kind = ' class="number"' if _NUMBER.fullmatch(text) else ""
    return f"<td{label}{kind}>{_escaped(text)}</td>"


def _words(text: str) -> str:
    """A command whose lines break between words only, so that an --option stays whole."""
    return " ".join(f"<span>{_escaped(word)}</span>" for word in text.split(" "))


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)
