"""Time ONNX Runtime: infer_onnx.py GRAPH ROWS SECONDS BATCHES -> one line of JSON. One thread.

Takes both graphs of `export_onnx.py`: the second input is where each scenario's rows begin, or the scenario of all rows.
"""

import sys
import time

import numpy
import onnxruntime
from worker import print_result, read_batches

SCENARIOS = 6


def session(graph):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def feed(second, values, scenario):
    begins = numpy.searchsorted(scenario, numpy.arange(SCENARIOS + 1)).astype("int64")
    extra = begins if second == "begins" else numpy.asarray(scenario[0], dtype="int64")
    return {"ids": numpy.ascontiguousarray(values, dtype="int64"), second: extra}


def main():
    graph, rows, seconds, path = sys.argv[1:]
    rows = int(rows)
    runtime = session(graph)
    second = runtime.get_inputs()[1].name
    feeds = [feed(second, values, scenario) for values, scenario, _ in read_batches(path, rows)]
    # Not counted.
    for each in feeds:
        runtime.run(None, each)
    times, end = [], time.perf_counter() + float(seconds)
    while len(times) < 5 or time.perf_counter() < end:
        begin = time.perf_counter()
        runtime.run(None, feeds[len(times) % len(feeds)])
        times.append(time.perf_counter() - begin)
    times = numpy.asarray(times) * 1e3
    p50, p90, p99 = (float(numpy.quantile(times, share)) for share in (0.5, 0.9, 0.99))
    print_result(p50_ms=p50, p90_ms=p90, p99_ms=p99, rows_per_s=round(rows / p50 * 1e3), calls=len(times))


if __name__ == "__main__":
    main()
