"""Scores the same rows by every protocol, for every model of a server, and compares with `hinet predict`.

zoo.py HOST:PORT ROWS.csv FOLDER: FOLDER/NAME.csv holds the predictions of the model NAME. Columns and tasks as in clients.py.
"""

import sys
from pathlib import Path

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http

from shop import TASKS, TEXTS, check, features, post, read_rows, read_scores, stacked


def main():
    address, rows, folder = sys.argv[1:4]
    rows = read_rows(rows)
    names = [line["name"] for line in post(address, "/v2/repository/index", {})[1]]
    clients = {"REST": (http, http.InferenceServerClient(address)), "gRPC": (grpc, grpc.InferenceServerClient(address))}
    for name in names:
        expected = read_scores(Path(folder) / f"{name}.csv")
        found = {way: infer(library, client, name, rows) for way, (library, client) in clients.items()}
        found["/rank"] = rank(address, name, rows)
        for way, scores in found.items():
            check(f"{name}, {way}", scores, expected)
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
    return stacked(result.as_numpy)


def rank(address, name, rows):
    status, answer = post(address, "/rank", {"model": name, "items": features(rows)})
    assert status == 200, answer
    return np.array([[item["scores"][task] for task in TASKS] for item in answer["items"]])


main()
