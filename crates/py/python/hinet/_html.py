"""What notebooks show: tables, and figures as SVG. Everything that comes from data is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

CELL = 44
#: Space for names at the left and above, a letter.
LETTER = 7


def cells_html(caption: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table whose first two columns are names and the others numbers."""
    cells = [[_cell(column, text) for column, text in enumerate(line)] for line in lines]
    return _table(f"<caption>{escape(caption)}</caption>", head, cells)


def plain_html(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table whose columns are all alike."""
    return _table("", head, [[f"<td>{escape(text)}</td>" for text in line] for line in lines])


def _table(caption: str, head: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    rows = "".join(f"<tr>{''.join(line)}</tr>" for line in cells)
    return f"<table>{caption}<thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table>"


def _cell(column: int, text: str) -> str:
    align = "left" if column < 2 else "right"
    return f'<td style="text-align:{align}">{escape(text)}</td>'


def heat_svg(title: str, rows: Sequence[str], columns: Sequence[str], weights: Sequence[Sequence[float | None]]) -> str:
    """A matrix whose cells are shaded by their numbers, which stand in them."""
    left = LETTER * max((len(name) for name in rows), default=0) + 12
    top = 28 + LETTER * max((len(name) for name in columns), default=0)
    width, height = left + CELL * len(columns) + 4, top + CELL * len(rows) + 4
    highest = max((weight for line in weights for weight in line if weight is not None), default=1.0) or 1.0
    parts = [f'<text x="0" y="14" font-weight="bold">{escape(title)}</text>']
    for at, name in enumerate(columns):
        x = left + CELL * at + CELL / 2 + 4
        parts.append(f'<text x="{x}" y="{top - 6}" transform="rotate(-90 {x} {top - 6})">{escape(name)}</text>')
    for at, (name, line) in enumerate(zip(rows, weights)):
        y = top + CELL * at
        parts.append(f'<text x="{left - 6}" y="{y + CELL / 2 + 4}" text-anchor="end">{escape(name)}</text>')
        parts.extend(_square(left + CELL * column, y, weight, highest) for column, weight in enumerate(line))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title)}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="currentColor">{"".join(parts)}</svg>'
    )


def _square(x: float, y: float, weight: float | None, highest: float) -> str:
    share = 0.0 if weight is None else max(0.0, weight / highest)
    text = "–" if weight is None else f"{weight:.2f}"
    ink = "#fff" if share > 0.6 else "currentColor"
    return (
        f'<rect x="{x}" y="{y}" width="{CELL - 2}" height="{CELL - 2}" rx="3" fill="#1f5fa8" fill-opacity="{0.06 + 0.94 * share:.2f}"/>'
        f'<text x="{x + CELL / 2 - 1}" y="{y + CELL / 2 + 4}" text-anchor="middle" fill="{ink}">{text}</text>'
    )
