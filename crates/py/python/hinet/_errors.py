"""Exceptions, one per kind of error. Each says what was found where, what was expected, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class HinetError(Exception):
    """What all errors of hinet have in common.

    ``file``, ``row`` (from 1), ``column`` and ``value`` say where in the data it is, and are ``None`` where it is not there.
    """

    file: str | None
    row: int | None
    column: str | None
    value: str | None

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        row: int | None = None,
        column: str | None = None,
        value: str | None = None,
        problems: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.row = row
        self.column = column
        self.value = value
        self.problems = list(problems)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restored, (type(self), self.message, self.__dict__))


class ConfigError(HinetError, ValueError):
    """What the experiment says cannot be meant. ``problems`` lists all that is wrong, each with its ``key`` and ``message``."""


class DataError(HinetError, ValueError):
    """A row, a column or a table that is not what it should be."""


class ModelError(HinetError, ValueError):
    """The files of a trained model, or what cannot be done with it."""


class RunError(HinetError, ValueError):
    """A run folder: there already, of another experiment, not finished, damaged."""


class TrainingError(HinetError, RuntimeError):
    """Training came to nothing: a task of one class only, a loss that is no number any more."""


class FileError(HinetError, OSError):
    """A file or folder that cannot be read or written."""


class NotFittedError(HinetError, ValueError, AttributeError):
    """A ranker that is asked for scores before it was fitted."""


class StopTraining(Exception):
    """Raise it in a callback to end training as if its epochs were over: the best weights are evaluated and saved."""


def _restored(kind: type[HinetError], message: str, state: dict[str, Any]) -> HinetError:
    error = kind(message)
    error.__dict__.update(state)
    return error
