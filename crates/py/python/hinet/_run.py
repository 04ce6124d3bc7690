"""A trained model with the folder it lies in."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np

from hinet import _hinet
from hinet._errors import RunError
from hinet._events import Watch
from hinet._explain import Explanation
from hinet._metrics import Metrics, SplitMetrics
from hinet._progress import progress_of
from hinet._tables import Data, Path, source_of

if TYPE_CHECKING:
    from arro3.core import Table
    from numpy.typing import NDArray

#: Of a run folder, what a copy of the model does not need.
WORKING = ("checkpoint", "tensorboard")


class Run:
    """A finished run: the folder that ``hinet train`` or a fit in Python wrote, opened.

    Threads may score with it side by side. A pickle holds the whole folder.
    """

    def __init__(self, path: Path, *, home: tempfile.TemporaryDirectory[str] | None = None) -> None:
        self.path = FilePath(os.path.abspath(os.fspath(path)))
        #: A temporary folder that goes when this does.
        self._home = home
        self._native = _hinet.Run.open(self.path)
        self._about: dict[str, Any] = json.loads(self._native.about())

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self._about["name"])

    @property
    def tasks(self) -> list[str]:
        """The tasks, in the order of the columns of :meth:`predict_proba`."""
        return list(self._about["tasks"])

    @property
    def scenarios(self) -> list[str]:
        """The scenarios of train."""
        return list(self._about["scenarios"])

    @property
    def columns(self) -> list[str]:
        """The columns that scoring reads, the scenario's first."""
        return list(self._about["columns"])

    @property
    def is_calibrated(self) -> bool:
        """Whether scores go through curves of calibration."""
        return bool(json.loads(self._native.about())["calibrated"])

    @property
    def metrics(self) -> Metrics:
        """What the run was measured at when it ended; nothing where its rows could not be evaluated after the model was saved."""
        path = self.path / "metrics.json"
        return Metrics.from_json(path.read_text(encoding="utf-8")) if path.is_file() else Metrics({"splits": {}})

    @property
    def config(self) -> dict[str, Any]:
        """The experiment, with every default."""
        return tomllib.loads((self.path / "config.toml").read_text(encoding="utf-8"))

    @property
    def history(self) -> list[dict[str, Any]]:
        """A record for each logged step and each evaluation."""
        return [json.loads(line) for line in (self.path / "history.jsonl").read_text(encoding="utf-8").splitlines()]

    def predict_proba(self, data: Data, *, threads: int = 0) -> NDArray[np.float32]:
        """Probabilities of shape ``[rows, tasks]``, in the order of the rows."""
        return self._proba(self.predict_table(data, threads=threads))

    def _proba(self, table: Table) -> NDArray[np.float32]:
        scores = np.empty((table.num_rows, len(self.tasks)), dtype=np.float32)
        for column, task in enumerate(self.tasks):
            scores[:, column] = np.asarray(table[f"p_{task}"])
        return scores

    def predict_table(self, data: Data, *, keep: Sequence[str] = (), threads: int = 0) -> Table:
        """An Arrow table in the order of the rows: the scenario, the columns ``keep``, and a column ``p_<task>`` for each task."""
        source = source_of(data, "data")
        with watching(threads=threads) as watch:
            return self._native.score(source, list(keep), watch)

    def predict_file(self, data: Data, output: Path, *, keep: Sequence[str] = (), threads: int = 0) -> int:
        """What :meth:`predict_table` gives, into a ``.parquet``, ``.csv`` or ``.jsonl`` file; memory does not grow with the rows.
        Returns the rows."""
        source = source_of(data, "data")
        with watching(threads=threads) as watch:
            return self._native.predict(source, (list(keep), output), watch)

    def encode_file(self, data: Data, output: Path, *, keep: Sequence[str] = (), threads: int = 0) -> int:
        """The encoded inputs of the model into a file, for who scores elsewhere by an export. Returns the rows."""
        source = source_of(data, "data")
        with watching(threads=threads) as watch:
            return self._native.encode(source, (list(keep), output), watch)

    def evaluate(self, data: Data, *, name: str = "data", threads: int = 0) -> SplitMetrics:
        """The metrics of every scenario and task over rows with labels."""
        source = source_of(data, "data")
        with watching(threads=threads) as watch:
            told = json.loads(self._native.evaluate(source, name, watch))
        return SplitMetrics(name, told["splits"][name])

    def explain(self, data: Data | None = None, *, rows: int = 4096, importance: bool = False) -> Explanation:
        """What the model does inside: on ``rows`` rows of each scenario of ``data``, or else what was seen on its own rows when
        training ended. ``importance`` shuffles each feature in turn, and needs labels."""
        if data is None:
            if importance:
                raise ValueError("importance is measured on rows with labels: explain(data, importance=True)")
            seen = self._native.inspection()
            if seen is None:
                raise RunError(f"{self.path} has no inspection.json: name rows to look at", file=str(self.path))
            return Explanation.from_json(seen)
        source = source_of(data, "data")
        with watching() as watch:
            return Explanation.from_json(self._native.inspect(source, (rows, importance), watch))

    def calibrate(self, data: Data, *, method: str = "isotonic") -> tuple[SplitMetrics, SplitMetrics]:
        """Fits a curve for each cell on rows that the model was not trained on; scores go through it from now on, here and
        wherever the run folder is read. The metrics before and after, on these very rows."""
        source = source_of(data, "data")
        with watching() as watch:
            before, after = self._native.calibrate(source, method, watch)
        return SplitMetrics("before", json.loads(before)), SplitMetrics("after", json.loads(after))

    def export(self, folder: Path, *, to: str, data: Data | None = None) -> float:
        """Exports into a folder that must not exist: ``onnx``, ``triton`` or ``safetensors``. What was written is read back and
        checked on rows of ``data`` and on drawn ones; returns the largest difference of a probability."""
        source = None if data is None else source_of(data, "data")
        return self._native.export(to, folder, source)[1]

    def export_onnx(self, folder: Path, *, data: Data | None = None) -> float:
        """:meth:`export` to ONNX."""
        return self.export(folder, to="onnx", data=data)

    def save(self, path: Path) -> None:
        """Copies the run folder to a path that must not exist. ``hinet serve`` and every other command read it there."""
        target = FilePath(path)
        if target.exists():
            raise RunError(f"{target} exists already: name another folder", file=str(target))
        beside = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            shutil.copytree(self.path, beside, ignore=shutil.ignore_patterns(*WORKING))
            beside.rename(target)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise

    def __repr__(self) -> str:
        return f"<hinet.Run {self.name}: {len(self.scenarios)} scenarios, tasks {', '.join(self.tasks)}, in {self.path}>"

    def __str__(self) -> str:
        return str(self.metrics) or repr(self)

    def _repr_html_(self) -> str:
        return self.metrics._repr_html_() or f"<pre>{self!r}</pre>"

    def __getstate__(self) -> dict[str, Any]:
        kept = (file for file in sorted(self.path.rglob("*")) if file.is_file())
        names = ((file.relative_to(self.path), file) for file in kept)
        return {"files": {name.as_posix(): file.read_bytes() for name, file in names if name.parts[0] not in WORKING}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        home = temporary_home()
        folder = FilePath(home.name) / "run"
        for name, content in state["files"].items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        self.__init__(folder, home=home)  # type: ignore[misc]


def temporary_home() -> tempfile.TemporaryDirectory[str]:
    """A folder for a run that nobody named a place for."""
    return tempfile.TemporaryDirectory(prefix="hinet-", ignore_cleanup_errors=True)


def place_of(out: Path | None, name: str) -> tuple[FilePath, tempfile.TemporaryDirectory[str] | None]:
    """The folder that was named, or one in a temporary home."""
    if out is not None:
        return FilePath(out), None
    home = temporary_home()
    return FilePath(home.name) / name, home


@contextlib.contextmanager
def watching(
    make: Callable[[list[Any]], Watch] = Watch, *, progress: bool | None = False, threads: int = 0
) -> Iterator[Watch]:
    """A watch with a progress bar, if there shall be one, that is taken away in the end."""
    bars: list[Any] = progress_of(progress)
    watch = make(bars)
    watch.threads = threads
    try:
        yield watch
    finally:
        for bar in bars:
            bar.close()
