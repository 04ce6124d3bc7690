"""An experiment file, or what would be one, trained from Python."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any

import numpy

from hinet import _hinet
from hinet._events import AnyCallback, callbacks_of, watch_of
from hinet._metrics import Metrics
from hinet._run import Run, place_of, watching
from hinet._tables import Data, Path, paths_of, source_of

PARTS = ("train", "valid", "test")


def _number(value: Any) -> Any:
    """The plain number of one of NumPy, which JSON does not know."""
    if not isinstance(value, numpy.generic):
        raise TypeError(f"{value!r} is a {type(value).__name__}, expected a text, a number, a list or a table of these")
    return value.item()


class Experiment:
    """An experiment that was checked: paths are absolute, every default is filled in, names and numbers make sense.

    Parts of the data may be tables in memory: ``Experiment.from_toml("hinet.toml", train=frame)``.
    """

    def __init__(self, native: _hinet.Experiment) -> None:
        self._native = native

    @classmethod
    def from_toml(
        cls,
        path: Path,
        settings: Mapping[str, Any] | None = None,
        *,
        train: Data | None = None,
        valid: Data | None = None,
        test: Data | None = None,
    ) -> Experiment:
        """Reads an experiment file. ``settings`` changes keys of it, as ``--set`` of the command line does:
        ``{"train.epochs": 3, "model.preset": "mmoe"}``. ``train``, ``valid`` and ``test`` take the place of its files."""
        text = FilePath(path).read_text(encoding="utf-8")
        given, tables = named_parts(train=train, valid=valid, test=test)
        changed = {**{f"data.{part}": paths for part, paths in given.items()}, **(settings or {})}
        sets = [(key, toml_value(value)) for key, value in changed.items()]
        return cls(_hinet.Experiment.parse(text, os.path.abspath(path), sets).with_tables(tables))

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        *,
        train: Data | None = None,
        valid: Data | None = None,
        test: Data | None = None,
    ) -> Experiment:
        """An experiment that says what an experiment file would: ``{"data": {...}, "scenario": {...}, "task": [...], ...}``.
        Relative paths are seen from the working directory; what is ``None`` is not said."""
        given, tables = named_parts(train=train, valid=valid, test=test)
        said = {**config, "data": {**config.get("data", {}), **given}}
        name = f"{config.get('name') or 'experiment'}.toml"
        return cls(_hinet.Experiment.from_json(json.dumps(said, default=_number), os.path.abspath(name)).with_tables(tables))

    @property
    def name(self) -> str:
        """Name of the run's folder, and of the model when it is served."""
        return self._native.name

    def to_toml(self) -> str:
        """As an experiment file, with every default written out."""
        return self._native.to_toml()

    def fit(
        self,
        out: Path | None = None,
        *,
        resume: bool = False,
        callbacks: AnyCallback | Iterable[AnyCallback] = (),
        progress: bool | None = None,
    ) -> Run:
        """Trains, evaluates and saves a model into the run folder ``out``; without it into a temporary one, which goes when the
        run does. ``resume`` continues what is there. Ctrl-C stops after the step at hand, with a checkpoint."""
        folder, home = place_of(out, "run")
        asked = callbacks_of(callbacks)
        with watching(lambda bars: watch_of(asked, bars), progress=progress) as watch:
            metrics = Metrics.from_json(self._native.fit(folder, resume, watch))
        for callback in asked:
            callback.on_end(metrics)
        return Run(folder, home=home)

    def __repr__(self) -> str:
        return f"<hinet.Experiment {self.name}>"


def named_parts(**parts: Data | None) -> tuple[dict[str, str | list[str]], dict[str, _hinet.Source]]:
    """What ``[data]`` says of each part that was given, and the tables among them."""
    paths: dict[str, str | list[str]] = {}
    tables: dict[str, _hinet.Source] = {}
    for part, data in parts.items():
        if data is None:
            continue
        files = paths_of(data)
        if files is not None:
            paths[part] = files[0] if len(files) == 1 else files
        else:
            paths[part] = f"memory:{part}"
            tables[part] = source_of(data, part)
    return paths, tables


def toml_value(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (str, os.PathLike)):
        return json.dumps(os.fspath(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{toml_value(str(key))} = {toml_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, Iterable):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    raise TypeError(f"settings: expected texts, numbers, flags, lists and mappings; found {type(value).__qualname__}")


def schema() -> dict[str, Any]:
    """The JSON Schema of experiment files."""
    return dict(json.loads(_hinet.schema()))


def presets() -> dict[str, str]:
    """The models that there are, with what they are."""
    return dict(_hinet.presets())
