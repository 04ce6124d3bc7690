"""Scores the same rows by every protocol, for every model of a server, and compares with `hinet predict`.

zoo.py HOST:PORT ROWS.csv FOLDER: FOLDER/NAME.csv holds the predictions of the model NAME. Columns and tasks as in clients.py.
"""

import csv
import json
import sys
import urllib.request
from pathlib import Path

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http

TASKS = ["click", "order"]
TEXTS = ["page", "user_id", "item_id"]


def main():
    address, rows, folder = sys.argv[1:4]
    with open(rows, newline="") as file:
        rows = list(csv.DictReader(file))
    names = [line["name"] for line in post(address, "/v2/repository/index", {})]
    clients = {"REST": (http, http.InferenceServerClient(address)), "gRPC": (grpc, grpc.InferenceServerClient(address))}
    for name in names:
        with open(Path(folder) / f"{name}.csv", newline="") as file:
            expected = np.array([[float(row[f"p_{task}"]) for task in TASKS] for row in csv.DictReader(file)])
        found = {way: infer(library, client, name, rows) for way, (library, client) in clients.items()}
        found["/rank"] = rank(address, name, rows)
        for way, scores in found.items():
            difference = float(np.abs(scores - expected).max())
            assert difference <= 1e-5, f"{name}, {way}: differs by {difference}"
    print(f"{len(names)} models agree")


def infer(library, client, name, rows):
    inputs = []
    for column in TEXTS:
        entry = library.InferInput(column, [len(rows)], "BYTES")
        entry.set_data_from_numpy(np.array([row[column] for row in rows], dtype=object))
        inputs.append(entry)
    price = library.InferInput("price", [len(rows)], "FP64")
    price.set_data_from_numpy(np.array([float(row["price"]) for row in rows]))
    result = client.infer(name, [*inputs, price])
    return np.stack([result.as_numpy(task) for task in TASKS], axis=1)


def rank(address, name, rows):
    items = [{**{column: row[column] for column in TEXTS}, "price": float(row["price"])} for row in rows]
    answer = post(address, "/rank", {"model": name, "items": items})
    return np.array([[item["scores"][task] for task in TASKS] for item in answer["items"]])


def post(address, path, body):
    request = urllib.request.Request(f"http://{address}{path}", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)


main()
