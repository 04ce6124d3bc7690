"""From the tables people have to rows that hinet reads, and from records to tables that people can use.

What holds its rows (a frame, a table) is read where it stands. What can be read once (a stream, a dataset, a generator of
batches) goes through a temporary Parquet file, since fitting reads its rows several times.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from arro3.core import Array, DataType, RecordBatchReader, Table

from hinet._errors import DataError
from hinet._hinet import Source

if TYPE_CHECKING:
    from arro3.core.types import ArrowStreamExportable

Path: TypeAlias = "str | os.PathLike[str]"


class Lazy(Protocol):
    """A query that gives a frame: polars' ``LazyFrame``."""

    def collect(self) -> Any:
        """The frame."""


class Scannable(Protocol):
    """What is read batch by batch: pyarrow's ``Dataset``."""

    def scanner(self) -> Any:
        """Something with ``to_reader``."""


#: What can be read as rows: paths of files, folders or globs; or a table, frame, stream or dataset.
Data: TypeAlias = "Path | Sequence[Path] | ArrowStreamExportable | Lazy | Scannable | Iterator[Any] | Source"

ACCEPTED = (
    "a pandas or polars frame, a pyarrow table, reader or dataset, anything else with __arrow_c_stream__, an iterator of record "
    "batches, or paths of .parquet, .csv and .jsonl files"
)


def paths_of(data: Data) -> list[str] | None:
    """The paths, absolute, if that is what it is."""
    if isinstance(data, (str, os.PathLike)):
        return [os.path.abspath(os.fspath(data))]
    if isinstance(data, (list, tuple)) and data and all(isinstance(item, (str, os.PathLike)) for item in data):
        return [os.path.abspath(os.fspath(item)) for item in data]
    return None


def source_of(data: Data, name: str) -> Source:
    """The rows of whatever was given; ``name`` stands for the file in messages."""
    if isinstance(data, Source):
        return data
    paths = paths_of(data)
    if paths is not None:
        return Source.from_files(paths)
    return _of_rows(data, name, f"<{name}>")


def _of_rows(data: Any, name: str, shown: str) -> Source:
    if _is(data, "pandas", "DataFrame"):
        return Source.from_table(shown, _from_pandas(data, shown))
    if _is(data, "polars", "LazyFrame"):
        return Source.from_table(shown, data.collect())
    if hasattr(data, "__arrow_c_stream__"):
        # What knows its number of rows holds them.
        holds = hasattr(data, "num_rows") or hasattr(data, "__len__")
        return Source.from_table(shown, data) if holds else Source.from_stream(shown, data, None)
    if hasattr(data, "scanner"):
        return Source.from_stream(shown, data.scanner().to_reader(), None)
    if isinstance(data, Iterator):
        return Source.from_stream(shown, _reader(data, shown), None)
    raise TypeError(f"{name}: expected {ACCEPTED}; found {type(data).__module__}.{type(data).__qualname__}")


def _is(data: object, module: str, name: str) -> bool:
    """Whether it is of a class of a library that need not be installed."""
    return any(kind.__module__.split(".")[0] == module and kind.__name__ == name for kind in type(data).__mro__)


def _from_pandas(frame: Any, shown: str) -> ArrowStreamExportable:
    """A frame without its index, which is no column. pandas itself does this by way of pyarrow, too."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError("pandas frames become Arrow tables by way of pyarrow: pip install pyarrow") from error
    for column in frame.columns:
        if not isinstance(column, str):
            raise DataError(
                f"{shown}: its columns have to be called by texts; found {column!r}", file=shown, column=str(column)
            )
    try:
        table: ArrowStreamExportable = pyarrow.Table.from_pandas(frame, preserve_index=False)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, pyarrow.ArrowNotImplementedError) as error:
        column = _unreadable_column(frame, pyarrow)
        raise DataError(
            f"{shown}, column `{column}`: its values have no common type, such as all numbers or all texts: {error}",
            file=shown,
            column=column,
        ) from error
    return table


def _unreadable_column(frame: Any, pyarrow: Any) -> str | None:
    for column in frame.columns:
        try:
            pyarrow.Array.from_pandas(frame[column])
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, pyarrow.ArrowNotImplementedError):
            return str(column)
    return None


def _reader(batches: Iterator[Any], shown: str) -> RecordBatchReader:
    first = next(batches, None)
    if first is None:
        raise DataError(f"{shown} has no rows: the iterator gave nothing", file=shown)
    if not hasattr(first, "__arrow_c_array__") or not hasattr(first, "schema"):
        raise TypeError(f"{shown}: expected an iterator of record batches; it gave {type(first).__qualname__}")
    return RecordBatchReader.from_batches(first.schema, chain([first], batches))


def table_of(records: Iterable[Mapping[str, Any]]) -> Table:
    """Records as an Arrow table, a column per key. It becomes a frame by ``polars.DataFrame(table)``,
    ``pyarrow.table(table).to_pandas()`` and the like."""
    rows = list(records)
    names = list(dict.fromkeys(key for row in rows for key in row))
    return Table.from_pydict({name: _column([row.get(name) for row in rows]) for name in names})


def _column(values: list[Any]) -> Array:
    found = {type(value) for value in values if value is not None}
    if found <= {int}:
        return Array(values, DataType.int64())
    if found <= {int, float}:
        return Array([None if value is None else float(value) for value in values], DataType.float64())
    if found == {bool}:
        return Array(values, DataType.bool())
    return Array([None if value is None else str(value) for value in values], DataType.utf8())
