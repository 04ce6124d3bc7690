"""Asks a server of hinet through Triton's clients and with plain JSON, and compares its scores with those of `hinet predict`.

clients.py HOST:PORT ROWS.csv PREDICTIONS.csv: the model is `hinet`, its columns page, user_id, item_id and price, its tasks click and order.
"""

import sys

import numpy as np

from shop import TASKS, TEXTS, check, features, post, read_rows, read_scores, stacked


def main():
    address, rows, predictions = sys.argv[1:4]
    rows, expected = read_rows(rows), read_scores(predictions)
    columns = {name: np.array([row[name] for row in rows], dtype=object) for name in TEXTS}
    columns["price"] = np.array([float(row["price"]) for row in rows])
    triton_http(address, columns, expected)
    triton_grpc(address, columns, expected)
    plain(address, rows, expected)
    print("all agree")


def triton_http(address, columns, expected):
    import tritonclient.http as http

    client = http.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("hinet")
    assert not client.is_model_ready("nothing")
    assert client.get_server_metadata()["name"] == "hinet"
    metadata = client.get_model_metadata("hinet")
    assert [output["name"] for output in metadata["outputs"]] == TASKS, metadata
    assert {entry["name"]: entry["datatype"] for entry in metadata["inputs"]}["price"] == "FP64", metadata
    assert client.get_model_config("hinet")["max_batch_size"] == 0
    for binary in [False, True]:
        inputs = []
        for name, values in columns.items():
            kind = "FP64" if name == "price" else "BYTES"
            entry = http.InferInput(name, [len(values)], kind)
            entry.set_data_from_numpy(values, binary_data=binary)
            inputs.append(entry)
        outputs = [http.InferRequestedOutput(task, binary_data=binary) for task in TASKS]
        result = client.infer("hinet", inputs, outputs=outputs, request_id="seven")
        assert result.get_response()["id"] == "seven"
        found = stacked(lambda task: result.as_numpy(task))
        check(f"tritonclient, HTTP, binary={binary}", found, expected)
    outputs = [http.InferRequestedOutput("order", binary_data=True), http.InferRequestedOutput("click", binary_data=False)]
    result = client.infer("hinet", inputs, outputs=outputs)
    check("mixed outputs", stacked(lambda task: result.as_numpy(task)), expected)
    refused(lambda: client.infer("nothing", inputs), "nothing")
    refused(lambda: client.infer("hinet", inputs, outputs=[http.InferRequestedOutput("buy")]), "buy")
    wrong = http.InferInput("price", [2, 2, 2], "FP64")
    wrong.set_data_from_numpy(np.zeros([2, 2, 2]))
    refused(lambda: client.infer("hinet", [wrong]), "shape")
    index = client.get_model_repository_index()
    assert [line["state"] for line in index] == ["READY"], index
    client.load_model("hinet")
    client.unload_model("hinet")
    refused(lambda: client.infer("hinet", inputs), "hinet")
    assert not client.is_server_ready()
    client.load_model("hinet")
    assert client.is_model_ready("hinet")
    statistics = client.get_inference_statistics("hinet")["model_stats"]
    assert statistics[0]["name"] == "hinet", statistics


def triton_grpc(address, columns, expected):
    import tritonclient.grpc as grpc

    client = grpc.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("hinet", "1")
    assert not client.is_model_ready("hinet", "2")
    assert client.get_server_metadata().name == "hinet"
    metadata = client.get_model_metadata("hinet")
    assert [output.name for output in metadata.outputs] == TASKS, metadata
    assert client.get_model_config("hinet").config.name == "hinet"
    inputs = []
    for name, values in columns.items():
        entry = grpc.InferInput(name, [len(values), 1], "FP64" if name == "price" else "BYTES")
        entry.set_data_from_numpy(values.reshape(-1, 1))
        inputs.append(entry)
    result = client.infer("hinet", inputs, request_id="eight")
    assert result.get_response().id == "eight"
    check("tritonclient, gRPC", stacked(lambda task: result.as_numpy(task)), expected)
    refused(lambda: client.infer("nothing", inputs), "nothing")
    refused(lambda: client.infer("hinet", inputs[:1] + inputs[:1]), "twice")
    assert client.get_inference_statistics("hinet").model_stats[0].inference_count >= len(expected)
    assert client.get_model_repository_index().models[0].state == "READY"
    client.load_model("hinet")
    reflected(address)


def reflected(address):
    """The names of the services, as grpcurl asks for them: field 7 of the request, an empty text."""
    import grpc

    with grpc.insecure_channel(address) as channel:
        call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        (answer,) = call(iter([b"\x3a\x00"]))
    assert b"inference.GRPCInferenceService" in answer and b"grpc.health.v1.Health" in answer, answer


def plain(address, rows, expected):
    known = features(rows)
    status, answer = post(address, "/v1/models/hinet:predict", {"instances": known})
    assert status == 200, answer
    check(":predict, rows", [[row[task] for task in TASKS] for row in answer["predictions"]], expected)
    columns = {name: [row[name] for row in known] for name in known[0]}
    status, answer = post(address, "/v1/models/hinet/versions/1:predict", {"inputs": columns})
    assert status == 200, answer
    check(":predict, columns", stacked(lambda task: answer["outputs"][task]), expected)
    by_user = {}
    for place, row in enumerate(known):
        by_user.setdefault((row["page"], row["user_id"]), []).append(place)
    found = np.zeros_like(expected)
    for (page, user), places in by_user.items():
        items = [{"id": place, "item_id": known[place]["item_id"], "price": known[place]["price"]} for place in places]
        body = {"scenario": page, "user": {"user_id": user}, "items": items, "score": "click^0.7 * order^0.3"}
        status, answer = post(address, "/rank", body)
        assert status == 200, answer
        for item in answer["items"]:
            found[item["id"]] = [item["scores"][task] for task in TASKS]
            combined = item["scores"]["click"] ** 0.7 * item["scores"]["order"] ** 0.3
            assert abs(item["score"] - combined) < 1e-6, item
    check("/rank", found, expected)


def refused(call, word):
    try:
        call()
    except Exception as error:
        assert word in str(error), f"{word} is not in {error}"
    else:
        raise AssertionError(f"nothing was refused where {word} should be named")


main()
