"""The report as Markdown; figures are files beside it."""

from __future__ import annotations

from demo.evaluation.report.document import Block, Code, Columns, Document, Grid, Heading, Picture

#: Where figures lie, from the Markdown file.
PLOTS = "plots"


def markdown(document: Document) -> str:
    return "\n\n".join(map(_print, document.blocks)) + "\n"


def table(grid: Grid) -> str:
    """A table with its title and note."""
    lines = ["| " + " | ".join(map(_cell, row)) + " |" for row in (grid.columns, *grid.rows)]
    lines.insert(1, "|---" * len(grid.columns) + "|")
    parts = [f"**{grid.title}**" if grid.title else "", "\n".join(lines), grid.note]
    return "\n\n".join(filter(None, parts))


def _print(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Code):
        return f"```\n{block.text}\n```"
    if isinstance(block, Columns):
        return "\n\n".join(_print(one) for column in block.columns for one in column)
    if isinstance(block, Picture):
        return f"![{block.title}]({PLOTS}/{block.name}.svg)"
    return table(block) if isinstance(block, Grid) else block.text


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
