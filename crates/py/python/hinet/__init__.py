"""Ranking in many scenarios for many tasks: HiNet, its relatives, and what it takes to ship them.

>>> import hinet
>>> ranker = hinet.Ranker(scenario="tab", tasks=["is_click", "is_like"]).fit(frame)  # doctest: +SKIP
>>> print(ranker.evaluate(later))  # doctest: +SKIP
"""

from hinet._compare import Comparison, compare, compare_runs
from hinet._errors import (
    ConfigError,
    DataError,
    FileError,
    HinetError,
    ModelError,
    NotFittedError,
    RunError,
    StopTraining,
    TrainingError,
)
from hinet._events import Callback, Evaluation, Step, TrainingBegins
from hinet._experiment import Experiment, presets, schema
from hinet._explain import Explanation
from hinet._hinet import __version__
from hinet._metrics import Metrics, SplitMetrics
from hinet._ranker import Ranker, Task
from hinet._run import Run
from hinet._tables import Data

__all__ = [
    "Callback",
    "Comparison",
    "ConfigError",
    "Data",
    "DataError",
    "Evaluation",
    "Experiment",
    "Explanation",
    "FileError",
    "HinetError",
    "Metrics",
    "ModelError",
    "NotFittedError",
    "Ranker",
    "Run",
    "RunError",
    "SplitMetrics",
    "Step",
    "StopTraining",
    "Task",
    "TrainingBegins",
    "TrainingError",
    "__version__",
    "compare",
    "compare_runs",
    "presets",
    "schema",
]
