"""Time reading and encoding Parquet: encode_python.py sklearn|pyarrow FILE -> one line of JSON. One thread."""

import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"

import numpy
import pyarrow
import pyarrow.compute as compute
import pyarrow.parquet
from kuairand_like import CATEGORIES, LABELS, NUMBERS, SCENARIO, TEXTS
from worker import print_result

BINS = 20
UNSEEN, MISSING = -1, -2


class Sklearn:
    """pandas and scikit-learn."""

    def read(self, path):
        import pandas

        return pandas.read_parquet(path, engine="pyarrow", use_threads=False)

    def fit(self, frame):
        from sklearn.preprocessing import KBinsDiscretizer, OrdinalEncoder

        self.categories = OrdinalEncoder(
            dtype=numpy.int32, handle_unknown="use_encoded_value", unknown_value=UNSEEN, encoded_missing_value=MISSING,
        )
        self.categories.fit(frame[[*CATEGORIES, SCENARIO]])
        numbers = frame[[*NUMBERS]]
        self.medians = numbers.median()
        self.numbers = KBinsDiscretizer(
            BINS, encode="ordinal", strategy="quantile", quantile_method="averaged_inverted_cdf", dtype=numpy.float32,
        )
        self.numbers.fit(numbers.fillna(self.medians))

    def encode(self, frame):
        categories = self.categories.transform(frame[[*CATEGORIES, SCENARIO]])
        numbers = self.numbers.transform(frame[[*NUMBERS]].fillna(self.medians))
        return categories, numbers, frame[LABELS].to_numpy(numpy.float32)


class Arrow:
    """pyarrow alone: dictionaries, `index_in`, quantiles."""

    def read(self, path):
        return pyarrow.parquet.read_table(path, read_dictionary=[*TEXTS], use_threads=False)

    def fit(self, rows):
        self.values = {}
        for name in [*CATEGORIES, SCENARIO]:
            column = rows[name].unify_dictionaries() if name in TEXTS else rows[name].dictionary_encode()
            self.values[name] = column.chunk(0).dictionary
        shares = numpy.linspace(0, 1, BINS + 1)[1:-1]
        self.bounds = {name: compute.quantile(rows[name], q=shares).to_numpy() for name in NUMBERS}

    def encode(self, rows):
        categories = {name: self.codes(rows[name], self.values[name]) for name in [*CATEGORIES, SCENARIO]}
        numbers = {name: numpy.searchsorted(self.bounds[name], rows[name].to_numpy(), side="right") for name in NUMBERS}
        return categories, numbers, [rows[label].cast(pyarrow.float32()) for label in LABELS]

    def codes(self, column, values):
        """Where each cell stands among the fitted values; of a dictionary each value is looked up once."""
        if not pyarrow.types.is_dictionary(column.type):
            return compute.index_in(column, value_set=values)
        chunks = (compute.index_in(chunk.dictionary, value_set=values).take(chunk.indices) for chunk in column.chunks)
        return pyarrow.chunked_array(list(chunks))


def main():
    engine, path = {"sklearn": Sklearn, "pyarrow": Arrow}[sys.argv[1]](), sys.argv[2]
    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)
    # The packages' own loading is not reading.
    engine.fit(engine.read(path).slice(0, 100) if isinstance(engine, Arrow) else engine.read(path).head(100))
    begin = time.perf_counter()
    rows = engine.read(path)
    engine.fit(rows)
    fitting = time.perf_counter() - begin
    count = len(rows)
    del rows
    begin = time.perf_counter()
    encoded = engine.encode(engine.read(path))
    encoding = time.perf_counter() - begin
    assert len(encoded) == 3
    print_result(rows_per_s=round(count / encoding), fit_rows_per_s=round(count / fitting), rows=count)


if __name__ == "__main__":
    main()
