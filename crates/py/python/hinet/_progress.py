"""How far training is: a line that is written over on a terminal, an element that is replaced in a notebook."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from html import escape
from typing import Any

BAR = 24


def is_notebook() -> bool:
    """Whether this runs in a notebook, where pictures can be shown."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"


def progress_of(wanted: bool | None) -> list[Bar]:
    """A bar in a list, or none: without a wish, where somebody sits there."""
    if wanted is False:
        return []
    if is_notebook():
        return [Bar(_NotebookLine())]
    return [Bar(_TerminalLine())] if wanted or sys.stderr.isatty() else []


class Bar:
    """Told every event of a fit or a comparison."""

    def __init__(self, line: _TerminalLine | _NotebookLine) -> None:
        self._line = line

    def __call__(self, kind: str, event: Mapping[str, Any]) -> bool:
        if kind == "preparing":
            self._line.show("reading the data")
        elif kind == "progress":
            self._line.show(_progress(event), event["step"] / max(event["steps"], 1))
        elif kind == "evaluating":
            self._line.show(f"step {event['step']}: scoring {event['part']}")
        elif kind == "evaluated":
            self._line.keep(_evaluated(event))
        elif kind == "warning":
            self._line.keep(f"warning: {event['text']}")
        elif kind == "compared":
            self._line.show(f"{event['done']} of {event['runs']}: {event['model']}, seed {event['seed']}", event["done"] / event["runs"])
        elif kind == "scored":
            self._line.show(f"{event['rows']:,} rows")
        return False

    def close(self) -> None:
        """Takes the line away."""
        self._line.clear()


def _progress(event: Mapping[str, Any]) -> str:
    losses = ", ".join(f"{task} {'–' if loss is None else format(loss, '.4f')}" for task, loss in event["losses"].items())
    left = f"{event['seconds_left']:.0f} s left"
    rate = f"{event['rows_per_second']:,.0f} rows/s"
    return f"epoch {event['epoch']}/{event['epochs']}  step {event['step']:,}/{event['steps']:,}  {rate}  {left}  loss {losses}"


def _evaluated(event: Mapping[str, Any]) -> str:
    metric = "undefined" if event["metric"] is None else f"{event['metric']:.4f}"
    return f"step {event['step']:,}: {event['monitor']} on {event['part']} {metric}{', the best so far' if event['best'] else ''}"


class _TerminalLine:
    def __init__(self) -> None:
        self._width = 0

    def show(self, text: str, share: float | None = None) -> None:
        if share is not None:
            full = int(BAR * min(share, 1.0))
            text = f"{'━' * full}{'─' * (BAR - full)} {text}"
        self._write("\r" + text.ljust(self._width))
        self._width = len(text)

    def keep(self, text: str) -> None:
        self.clear()
        self._write(text + "\n")

    def clear(self) -> None:
        if self._width:
            self._write("\r" + " " * self._width + "\r")
            self._width = 0

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


class _NotebookLine:
    def __init__(self) -> None:
        display: Any = importlib.import_module("IPython.display")
        self._html = display.HTML
        self._kept: list[str] = []
        self._handle = display.display(self._html(""), display_id=True)

    def show(self, text: str, share: float | None = None) -> None:
        bar = "" if share is None else f'<progress value="{share:.4f}" max="1" style="width:16em"></progress> '
        self._update([*self._kept, f"{bar}{escape(text)}"])

    def keep(self, text: str) -> None:
        self._kept.append(escape(text))
        self._update(self._kept)

    def clear(self) -> None:
        self._update(self._kept)

    def _update(self, lines: list[str]) -> None:
        self._handle.update(self._html("<br>".join(lines)))
