"""What is told while a model trains, and to whom."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from hinet._errors import StopTraining
from hinet._metrics import Metrics, SplitMetrics


@dataclass(frozen=True)
class TrainingBegins:
    """What is about to be trained."""

    rows: int
    scenarios: int
    tasks: list[str]
    #: Steps until the end, unless it stops early.
    steps: int
    dense_parameters: int
    embedding_parameters: int
    #: Steps done before, when a run is continued.
    resumed_at: int | None


@dataclass(frozen=True)
class Step:
    """A step that was done."""

    step: int
    epoch: int
    #: Rows of its batch.
    rows: int
    #: By task; ``None`` where no label was observed.
    losses: dict[str, float | None]
    learning_rate: float


@dataclass(frozen=True)
class Evaluation:
    """An evaluation on the validation rows."""

    step: int
    part: str
    #: Name of the metric that is watched, and its value; ``None`` where it is undefined.
    monitor: str
    metric: float | None
    #: Whether it is the best so far.
    best: bool
    metrics: SplitMetrics


class Callback:
    """Told of a training; override what you want to know.

    Return true from ``on_step`` or ``on_evaluation``, or raise :class:`StopTraining`, to end training as if its epochs were
    over. Any other exception stops it at once, and reaches whoever called ``fit``.
    """

    def on_begin(self, begins: TrainingBegins) -> object:
        """Training begins."""

    def on_step(self, step: Step) -> object:
        """A step was done."""

    def on_evaluation(self, evaluation: Evaluation) -> object:
        """The validation rows were scored."""

    def on_warning(self, text: str) -> object:
        """Something that one should know and that stops nothing."""

    def on_end(self, metrics: Metrics) -> object:
        """The model is trained, evaluated and saved."""


#: A callback, or a function that is told every evaluation.
AnyCallback: TypeAlias = Callback | Callable[[Evaluation], object]

#: Told every event as it comes; true ends training.
Listener: TypeAlias = Callable[[str, Mapping[str, Any]], object]


class OnEvaluation(Callback):
    """A function as a callback."""

    def __init__(self, function: Callable[[Evaluation], object]) -> None:
        self.function = function

    def on_evaluation(self, evaluation: Evaluation) -> object:
        return self.function(evaluation)


@dataclass
class Watch:
    """What the native code tells its events to."""

    listeners: list[Listener]
    #: Whether each step is told.
    steps: bool = False
    #: Threads that score; 0 takes as many as there are cores.
    threads: int = 0

    @property
    def tell(self) -> Callable[[str, str], bool] | None:
        return self._tell if self.listeners else None

    def _tell(self, kind: str, told: str) -> bool:
        event = json.loads(told)
        # Every one of them is told, also after one has had enough.
        return any([_asked(listener, kind, event) for listener in self.listeners])


def _asked(listener: Listener, kind: str, event: Mapping[str, Any]) -> bool:
    try:
        return bool(listener(kind, event))
    except StopTraining:
        return True


def callbacks_of(given: AnyCallback | Iterable[AnyCallback]) -> list[Callback]:
    """One or several of them as a list."""
    several = [given] if isinstance(given, Callback) or callable(given) else list(given)
    for callback in several:
        if not isinstance(callback, Callback) and not callable(callback):
            raise TypeError(f"callbacks: expected hinet.Callback or a function of an evaluation; found {callback!r}")
    return [one if isinstance(one, Callback) else OnEvaluation(one) for one in several]


def watch_of(callbacks: list[Callback], listeners: list[Listener]) -> Watch:
    """Callbacks and a progress bar as what the native code wants."""
    steps = any(type(callback).on_step is not Callback.on_step for callback in callbacks)
    return Watch([*listeners, *(_listener(callback) for callback in callbacks)], steps)


def _listener(callback: Callback) -> Listener:
    def listen(kind: str, event: Mapping[str, Any]) -> object:
        if kind == "step":
            return callback.on_step(Step(**event))
        if kind == "evaluated":
            return callback.on_evaluation(Evaluation(**{**event, "metrics": SplitMetrics(event["part"], event["metrics"])}))
        if kind == "training":
            callback.on_begin(TrainingBegins(**event))
        elif kind == "warning":
            callback.on_warning(event["text"])
        return False

    return listen
