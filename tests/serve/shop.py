"""What the scripts here share: the rows that the tests make up, and a request in plain JSON."""

import csv
import json
import urllib.error
import urllib.request

import numpy as np

TASKS = ["click", "order"]
TEXTS = ["page", "user_id", "item_id"]


def read_rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def read_scores(path):
    """Predictions, [rows, tasks]."""
    return np.array([[float(row[f"p_{task}"]) for task in TASKS] for row in read_rows(path)])


def features(rows):
    """Rows as JSON brings them."""
    return [{**{name: row[name] for name in TEXTS}, "price": float(row["price"])} for row in rows]


def stacked(column_of):
    """Scores, [rows, tasks], from those of each task."""
    return np.stack([column_of(task) for task in TASKS], axis=1)


def check(what, found, expected):
    difference = float(np.abs(np.asarray(found, dtype=float) - expected).max())
    assert difference <= 1e-5, f"{what}: differs by {difference}"
    print(f"{what}: differs by {difference:.1e} at the most")


def post(address, path, body):
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"http://{address}{path}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
