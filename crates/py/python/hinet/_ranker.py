"""The model as scikit-learn's users know models: parameters, ``fit``, ``predict_proba``, learned attributes that end in ``_``."""

from __future__ import annotations

import importlib
import inspect
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from hinet import _hinet
from hinet._errors import ConfigError, NotFittedError
from hinet._events import AnyCallback
from hinet._experiment import Experiment
from hinet._explain import Explanation
from hinet._metrics import Metrics, SplitMetrics
from hinet._run import Run
from hinet._tables import Data, Path, paths_of, source_of

if TYPE_CHECKING:
    from arro3.core import Table
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Task:
    """A goal to predict: a column of 0 and 1, or an expression over columns.

    ``where`` tells the rows that belong to the task, such as ``"is_click == 1"``; the others are masked for it.
    """

    name: str
    label: str
    where: str | None = None
    weight: float = 1.0
    #: Share of the negative rows that were kept in train.
    negative_rate: float = 1.0

    @classmethod
    def of(cls, label: str) -> Task:
        """The task of a column, named as ``hinet init`` names it: ``is_click`` is the task ``click``."""
        bare = label.removeprefix("is_") or label
        return cls(re.sub("[^A-Za-z0-9_]", "_", bare), label)

    def config(self) -> dict[str, Any]:
        """As an entry of ``[[task]]``."""
        said = {"name": self.name, "label": self.label, "where": self.where, "weight": self.weight}
        return said if self.negative_rate == 1.0 else {**said, "negative_rate": self.negative_rate}


class Ranker:
    """A model that ranks in many scenarios for many tasks.

    Parameters
    ----------
    model
        A preset (``hinet.presets()`` lists them), or a mapping with a preset and options, or with the two slots: what ``[model]``
        of an experiment file says.
    scenario
        The column that tells the scenario of a row, or a mapping: what ``[scenario]`` of an experiment file says, such as
        ``{"column": "tab", "unknown": "mean"}``.
    tasks
        Columns to predict, or :class:`Task`.
    features
        ``None`` guesses them as ``hinet init`` does. Else names of columns, whose rules are guessed, and mappings with the rules
        themselves: entries of ``[[feature]]``.
    user, request, weight
        Columns: groups of GAUC, groups of NDCG, weights of rows. ``user`` and ``request`` are guessed where features are.
    split
        How ``train`` is cut where ``fit`` gets neither ``valid`` nor ``test``: ``"guess"`` (a tenth each, by time if a column tells
        it, else at random), ``None`` (not at all), or a mapping: what ``data.split`` says.
    epochs, batch_size, patience, seed, threads
        Keys of ``[train]``; ``None`` leaves the default, for epochs and batch size what ``hinet init`` would choose. 0 threads are
        as many as there are cores; results do not depend on them.
    train, data
        Further keys of ``[train]`` and ``[data]``: ``train={"dense": {"learning_rate": 1e-3}}``.
    name
        Name of the model when it is served.
    progress
        Whether a progress bar is shown; ``None`` shows it in notebooks and on terminals.

    Attributes
    ----------
    run_ : Run
        The trained model with its folder.
    metrics_ : Metrics
        By split, the metrics of every scenario and task.
    tasks_, scenarios_ : list of str
        Names, those of the tasks in the order of the columns of ``predict_proba``.
    feature_names_in_ : array of str
        The columns that scoring reads, the scenario's first.
    n_features_in_ : int
        How many they are.
    """

    def __init__(
        self,
        model: str | Mapping[str, Any] = "hinet",
        *,
        scenario: str | Mapping[str, Any] | None = None,
        tasks: Sequence[str | Task] = (),
        features: Sequence[str | Mapping[str, Any]] | None = None,
        user: str | None = None,
        request: str | None = None,
        weight: str | None = None,
        split: str | Mapping[str, Any] | None = "guess",
        epochs: int | None = None,
        batch_size: int | None = None,
        patience: int | None = None,
        seed: int = 7,
        threads: int = 0,
        train: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        name: str = "ranker",
        progress: bool | None = None,
    ) -> None:
        self.model = model
        self.scenario = scenario
        self.tasks = tasks
        self.features = features
        self.user = user
        self.request = request
        self.weight = weight
        self.split = split
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.seed = seed
        self.threads = threads
        self.train = train
        self.data = data
        self.name = name
        self.progress = progress

    def fit(
        self,
        train: Data,
        *,
        valid: Data | None = None,
        test: Data | None = None,
        out: Path | None = None,
        resume: bool = False,
        callbacks: AnyCallback | Iterable[AnyCallback] = (),
    ) -> Ranker:
        """Trains on rows that hold features, scenario and labels together.

        ``valid`` chooses the best weights and ends training early; ``test`` is looked at once, at the end. Without either, ``split``
        cuts them out of ``train``. ``out`` names the run folder, which every command of the program reads; without it the run is
        kept in a temporary folder until :meth:`save`.
        """
        experiment = self.experiment(train, valid=valid, test=test)
        self._take(experiment.fit(out, resume=resume, callbacks=callbacks, progress=self.progress))
        return self

    def experiment(self, train: Data, *, valid: Data | None = None, test: Data | None = None) -> Experiment:
        """What :meth:`fit` would train, as an experiment: its ``to_toml()`` shows every guess and default."""
        rows = source_of(train, "train") if self._guesses else None
        config = self._config(rows, has_parts=valid is not None or test is not None)
        # A stream that was read for the guess cannot be read again.
        kept = train if rows is None or paths_of(train) is not None else rows
        return Experiment.from_config(config, train=kept, valid=valid, test=test)

    @property
    def _guesses(self) -> bool:
        listed = self.features is None or any(isinstance(feature, str) for feature in self.features)
        return listed or self.split == "guess"

    def _config(self, rows: _hinet.Source | None, *, has_parts: bool) -> dict[str, Any]:
        scenario = _scenario(self.scenario)
        tasks = _tasks(self.tasks)
        labels = [task.label for task in tasks]
        guessed = {} if rows is None else tomllib.loads(_hinet.guess(rows, "memory:train", scenario["column"], labels))
        groups = guessed.get("data", {}) if self.features is None else {}
        columns = {
            "user": self.user or groups.get("user"),
            "request": self.request or groups.get("request"),
            "weight": self.weight,
        }
        return {
            "name": self.name,
            "data": {**columns, **_split(self.split, guessed, has_parts), **(self.data or {})},
            "scenario": scenario,
            "task": [task.config() for task in tasks],
            "feature": _features(self.features, guessed),
            "model": {"preset": self.model} if isinstance(self.model, str) else dict(self.model),
            "train": self._train(guessed, has_valid=has_parts or self.split is not None),
        }

    def _train(self, guessed: Mapping[str, Any], *, has_valid: bool) -> dict[str, Any]:
        said = guessed.get("train", {})
        patience = said.get("patience") if self.patience is None and has_valid else self.patience
        chosen = {
            "epochs": said.get("epochs") if self.epochs is None else self.epochs,
            "batch_size": said.get("batch_size") if self.batch_size is None else self.batch_size,
            "patience": patience,
            "seed": self.seed,
            "threads": self.threads,
        }
        return {**chosen, **(self.train or {})}

    def _take(self, run: Run) -> None:
        self.run_ = run
        self.metrics_ = run.metrics
        self.tasks_ = run.tasks
        self.scenarios_ = run.scenarios
        self.feature_names_in_ = np.array(run.columns, dtype=object)
        self.n_features_in_ = len(run.columns)

    def _fitted(self) -> Run:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError("this Ranker is not fitted yet: call fit, or Ranker.load")
        return self.run_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "run_")

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of an estimator; labels stand in the table, so that none are required beside it."""
        utils = importlib.import_module("sklearn.utils")
        return utils.Tags(estimator_type=None, target_tags=utils.TargetTags(required=False), requires_fit=True)

    def predict_proba(self, data: Data) -> NDArray[np.float32]:
        """Probabilities of shape ``[rows, tasks]``: a column for each of ``tasks_``."""
        return self._fitted().predict_proba(data, threads=self.threads)

    def predict_table(self, data: Data, *, keep: Sequence[str] = ()) -> Table:
        """An Arrow table in the order of the rows: the scenario, the columns ``keep``, and ``p_<task>`` for each task."""
        return self._fitted().predict_table(data, keep=keep, threads=self.threads)

    def evaluate(self, data: Data) -> SplitMetrics:
        """The metrics of every scenario and task over rows with labels."""
        return self._fitted().evaluate(data, threads=self.threads)

    def score(self, data: Data) -> float:
        """Mean over tasks of the AUC over all rows; larger is better."""
        auc = self.evaluate(data).mean_auc
        return float("nan") if auc is None else auc

    def explain(self, data: Data | None = None, *, importance: bool = False) -> Explanation:
        """What the model does inside, on ``data`` or as seen when training ended: see :meth:`Run.explain`."""
        return self._fitted().explain(data, importance=importance)

    def calibrate(self, data: Data, *, method: str = "isotonic") -> tuple[SplitMetrics, SplitMetrics]:
        """Fits a curve for each cell on rows held out, through which all scores go from now on: see :meth:`Run.calibrate`."""
        return self._fitted().calibrate(data, method=method)

    def export_onnx(self, folder: Path, *, data: Data | None = None) -> float:
        """Exports to ONNX into a folder that must not exist, checked; returns the largest difference of a probability."""
        return self._fitted().export_onnx(folder, data=data)

    def save(self, path: Path) -> None:
        """Copies the run folder to a path that must not exist. ``hinet serve`` and every other command read it there."""
        self._fitted().save(path)

    @classmethod
    def load(cls, path: Path) -> Ranker:
        """Opens a run folder, whether :meth:`save`, :meth:`fit` or the program wrote it."""
        run = Run(path)
        ranker = cls(**_parameters_of(run.config))
        ranker._take(run)
        return ranker

    @classmethod
    def _names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Ranker:
        """Sets parameters by name."""
        known = self._names()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"Ranker has no parameter {name!r}; it has {', '.join(known)}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = {name: one.default for name, one in inspect.signature(type(self).__init__).parameters.items()}
        said = [f"{name}={value!r}" for name, value in self.get_params().items() if not _same(value, defaults[name])]
        return f"{type(self).__name__}({', '.join(said)})"

    def __str__(self) -> str:
        return f"{self!r}\n\n{self.metrics_}" if self.__sklearn_is_fitted__() else repr(self)

    def _repr_html_(self) -> str:
        shown = self.run_._repr_html_() if self.__sklearn_is_fitted__() else ""
        return f"<pre>{escape(repr(self))}</pre>{shown}"


def _scenario(given: str | Mapping[str, Any] | None) -> dict[str, Any]:
    said = {"column": given} if isinstance(given, str) else dict(given or {})
    if not isinstance(said.get("column"), str):
        raise ConfigError('scenario: name the column that tells the scenario of a row: Ranker(scenario="tab")')
    return said


def _tasks(given: Sequence[str | Task]) -> list[Task]:
    tasks = [given] if isinstance(given, (str, Task)) else list(given)
    if not tasks:
        raise ConfigError("tasks: name what is to be predicted: Ranker(tasks=['is_click'])")
    for task in tasks:
        if not isinstance(task, (str, Task)):
            raise TypeError(f"tasks: expected names of columns and hinet.Task; found {task!r}")
    return [Task.of(task) if isinstance(task, str) else task for task in tasks]


def _split(asked: str | Mapping[str, Any] | None, guessed: Mapping[str, Any], has_parts: bool) -> dict[str, Any]:
    if has_parts or asked is None:
        return {}
    if isinstance(asked, str):
        if asked != "guess":
            raise ConfigError(f"split: expected 'guess', None or a mapping, found {asked!r}")
        return {"split": guessed["data"]["split"]}
    return {"split": dict(asked)}


def _features(asked: Sequence[str | Mapping[str, Any]] | None, guessed: Mapping[str, Any]) -> list[dict[str, Any]]:
    rules = [dict(rule) for rule in guessed.get("feature", [])]
    if asked is None:
        return rules
    named = [feature for feature in asked if isinstance(feature, str)]
    known = {column: rule for rule in rules for column in rule["columns"]}
    unknown = [name for name in named if name not in known]
    if unknown:
        raise ConfigError(
            f"features: {', '.join(map(repr, unknown))} cannot be guessed a rule for: the data has no such column, or it does not look "
            "like a feature; give a mapping such as {'columns': ['age'], 'kind': 'numeric'}"
        )
    taken = [{**rule, "columns": [column for column in rule["columns"] if column in named]} for rule in rules]
    return [rule for rule in taken if rule["columns"]] + [dict(one) for one in asked if not isinstance(one, str)]


def _parameters_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a ranker that would be trained as a run was."""
    data, train = dict(config["data"]), dict(config["train"])
    for part in ("train", "valid", "test"):
        data.pop(part, None)
    parameters: dict[str, Any] = {
        "model": dict(config["model"]),
        "scenario": dict(config["scenario"]),
        "tasks": [Task(**task) for task in config["task"]],
        "features": [dict(feature) for feature in config["feature"]],
        "split": data.pop("split", None),
        "name": config["name"],
    }
    parameters |= {key: data.pop(key, None) for key in ("user", "request", "weight")}
    parameters |= {key: train.pop(key) for key in ("epochs", "batch_size", "patience", "seed", "threads") if key in train}
    return parameters | {"train": train or None, "data": data or None}


def _same(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and bool(value == default))
