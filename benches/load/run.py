"""Load a server of hinet with the reference HiNet, and others beside it: run.py [--seconds S] [--rounds R] [--others] [--python PATH] [--built].

One request is one user and 100 items, raw values in JSON. The generator (crates/serve/examples/load.rs) is open-loop: latency counts
from the time a request was due. It runs on the same machine, on the same processors, so all figures are with it beside.

For each server: its saturation (the highest rate of a doubling and halving search that it keeps up with), then half of it (p50, p99,
errors), then three times of it (refusals, p99 of what was answered, memory before and after), then half of it again, one second later.
Servers take turns, round by round; the table has medians, with the least and the most where rounds differ, and every round is in
target/bench-load.json. All on loopback, bounded in count and time.
"""

import argparse
import csv
import json
import os
import random
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "bench-load"
ITEMS = 100
COLUMNS = [f"f{column}" for column in range(20)]
USER = COLUMNS[:10]


class ServerFailed(Exception):
    """A server that does not start or does not answer."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measured load [10]")
    parser.add_argument("--rounds", type=int, default=3, help="each server's turns [3]")
    parser.add_argument("--others", action="store_true", help="FastAPI with ONNX Runtime and MLServer too")
    parser.add_argument("--python", help="an interpreter with fastapi, uvicorn, onnxruntime and mlserver [one is made]")
    parser.add_argument("--built", action="store_true", help="take the release build that is there")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    if not options.built:
        build()
    prepare()
    servers = [hinet_server()]
    if options.others:
        python = options.python or make_python()
        servers += [fastapi_server(python), mlserver_server(python)]
    results = {name: [] for name, *_ in servers}
    for turn in range(options.rounds):
        for name, start, path, body in servers:
            print(f"round {turn + 1}, {name} ...", file=sys.stderr)
            try:
                results[name].append(measure(start, path, body, options.seconds))
            except ServerFailed as error:
                # The others' figures are not to be lost for it.
                results[name].append({"failed": str(error)})
            (ROOT / "target" / "bench-load.json").write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


def build():
    command = ["cargo", "build", "--release", "--locked", "-p", "hinet", "-p", "hinet-serve", "--bin", "hinet", "--example", "load"]
    subprocess.run(command, cwd=ROOT, check=True)


def binary(name):
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return folder / "release" / name


def prepare():
    """The reference HiNet after a few steps on random rows, and a request."""
    draw = random.Random(7)
    data = WORK / "train.csv"
    if not data.exists():
        with open(data, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["scenario", *COLUMNS, "is_click", "is_order"])
            for row in range(20_000):
                writer.writerow([row % 6, *(draw.randrange(100_000) for _ in COLUMNS), draw.randrange(2), draw.randrange(2)])
    if not (WORK / "run").exists():
        settings = [f"data.train={data}", "train.max_steps=20"]
        sets = [word for setting in settings for word in ("--set", setting)]
        command = [binary("hinet"), "train", ROOT / "experiments" / "reference.toml", "--out", WORK / "run", "--quiet", *sets]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    ids = lambda names: {name: draw.randrange(100_000) for name in names}
    body = {"scenario": 3, "user": ids(USER), "items": [{"id": item, **ids(COLUMNS[10:])} for item in range(ITEMS)]}
    (WORK / "rank.json").write_text(json.dumps(body))
    columns = {name: [body["user"].get(name, item.get(name)) for item in body["items"]] for name in COLUMNS}
    tensors = [{"name": name, "shape": [ITEMS], "datatype": "INT64", "data": values} for name, values in columns.items()]
    tensors.append({"name": "scenario", "shape": [ITEMS], "datatype": "INT64", "data": [3] * ITEMS})
    (WORK / "infer.json").write_text(json.dumps({"inputs": tensors}))


def hinet_server():
    def start(port):
        return subprocess.Popen([binary("hinet"), "serve", WORK / "run", "--port", str(port)], stderr=open(WORK / "hinet.log", "w"))

    return "hinet", start, "/rank", WORK / "rank.json"


def make_python():
    python = WORK / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", WORK / "venv"], check=True)
    # MLServer's workers do not start with newer uvloop: it makes no event loop for their main thread.
    needed = ["fastapi", "uvicorn[standard]", "orjson", "onnxruntime", "numpy", "mlserver", "uvloop<0.22"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *needed], check=True)
    return str(python)


def exported():
    """The same model as ONNX, from rows of tables to probabilities."""
    folder = WORK / "onnx"
    if not folder.exists():
        subprocess.run([binary("hinet"), "export", WORK / "run", "--to", "onnx", "--out", folder], check=True)
    return folder / "model.onnx"


def fastapi_server(python):
    """Two processes, ONNX Runtime with one thread in each: what two processors serve best."""
    model = exported()

    def start(port):
        environment = {**os.environ, "MODEL": str(model)}
        command = [python, "-m", "uvicorn", "fastapi_app:app", "--port", str(port), "--workers", "2", "--log-level", "error"]
        return subprocess.Popen(command, cwd=Path(__file__).parent, env=environment, stderr=open(WORK / "fastapi.log", "w"))

    return "FastAPI + ONNX Runtime", start, "/rank", WORK / "rank.json"


def mlserver_server(python):
    model = exported()
    folder = WORK / "mlserver"
    folder.mkdir(exist_ok=True)

    def start(port):
        settings = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2, "parallel_workers": 2, "debug": False}
        (folder / "settings.json").write_text(json.dumps(settings))
        model_settings = {"name": "reference", "implementation": "mlserver_app.Ranker", "parameters": {"uri": str(model)}}
        (folder / "model-settings.json").write_text(json.dumps(model_settings))
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
        command = [Path(python).parent / "mlserver", "start", folder]
        return subprocess.Popen(command, env=environment, stdout=open(WORK / "mlserver.log", "w"), stderr=subprocess.STDOUT)

    return "MLServer + ONNX Runtime", start, "/v2/models/reference/infer", WORK / "infer.json"


def measure(start, path, body, seconds):
    port = random.randrange(20_000, 30_000)
    process = start(port)
    try:
        wait_for(port, path, body, process)
        address = f"127.0.0.1:{port}"
        load = lambda rate, seconds: run_load(address, path, body, rate, seconds)
        load(20, 2)
        saturation = saturation_of(load)
        before = resident_mb(process.pid)
        half = load(saturation / 2, seconds)
        over = load(saturation * 3, seconds)
        after = resident_mb(process.pid)
        time.sleep(1)
        again = load(saturation / 2, seconds / 2)
        return {"saturation": saturation, "half": half, "over": over, "again": again, "mb_before": before, "mb_after": after}
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def saturation_of(load):
    """The highest rate, within 10 %, at which all requests are answered and nine of ten within 100 ms."""

    def once(rate):
        result = load(rate, 2)
        return result["codes"].get("200", 0) >= 0.99 * result["due"] and (result["ms"]["p90"] or 1e9) < 100

    def keeps_up(rate):
        # Twice: where the machine stumbles, the server is not at its end.
        return once(rate) or once(rate)

    low, high = 0, 10
    while keeps_up(high) and high < 20_000:
        low, high = high, high * 2
    while high - low > 0.1 * low and high > 1:
        middle = (low + high) / 2
        low, high = (middle, high) if keeps_up(middle) else (low, middle)
    return low or 1


def run_load(address, path, body, rate, seconds):
    command = [binary("examples/load"), address, path, body, "--rate", str(rate), "--seconds", str(seconds), "--connections", "256"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def wait_for(port, path, body, process):
    data = Path(body).read_bytes()
    for _ in range(300):
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"content-type": "application/json"})
            urllib.request.urlopen(request, timeout=5).read()
            return
        except OSError as error:
            if process.poll() is not None:
                raise ServerFailed(f"the server ended: {error}")
            time.sleep(0.2)
    raise ServerFailed("the server does not answer")


def resident_mb(pid):
    """Of a process and those that it started."""
    pids, total = [str(pid)], 0
    while pids:
        current = pids.pop()
        try:
            status = Path(f"/proc/{current}/status").read_text()
            children = Path(f"/proc/{current}/task/{current}/children").read_text().split()
        except OSError:
            continue
        pids += children
        total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    return round(total / 1024, 1)


def table(results):
    """Medians of the rounds; for saturation and the first p99 also how many times those of hinet they are."""
    head = ["server", "requests/s at most", "of hinet", "p50, ms", "p99, ms", "of hinet", "errors"]
    head += ["at 3x: answered/s", "refused", "errors", "p99, ms", "MB before", "MB after", "half again: p99, ms"]
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    base = None
    for name, rounds in results.items():
        whole = [figures(result) for result in rounds if "failed" not in result]
        if not whole:
            lines.append(f"| {name} | {rounds[0]['failed']} |" + " |" * (len(head) - 2))
            continue
        columns = list(zip(*whole))
        base = base or columns
        cells = [spread(column) for column in columns]
        cells.insert(1, ratio(columns[0], base[0]))
        cells.insert(4, ratio(columns[2], base[2]))
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def figures(result):
    half, over, again = result["half"], result["over"], result["again"]
    answered, refused = over["codes"].get("200", 0), over["codes"].get("503", 0)
    return [
        result["saturation"], half["ms"]["p50"], half["ms"]["p99"], half["due"] - half["codes"].get("200", 0),
        over["answered_per_second"], refused, over["due"] - answered - refused, over["ms"]["p99"],
        result["mb_before"], result["mb_after"], again["ms"]["p99"],
    ]


def spread(column):
    number = lambda value: f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"
    known = [value for value in column if value is not None]
    if not known:
        return "-"
    middle, least, most = (number(value) for value in (statistics.median(known), min(known), max(known)))
    return middle if least == most else f"{middle} ({least} to {most})"


def ratio(column, base):
    known, base = ([value for value in values if value is not None] for values in (column, base))
    return f"{statistics.median(known) / statistics.median(base):.2f}" if known and base else "-"


if __name__ == "__main__":
    main()
