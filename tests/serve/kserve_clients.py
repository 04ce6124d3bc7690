"""Asks a server of hinet through KServe's clients, as `clients.py` does through others: a process of its own, since both bring the
same protocol buffers along.

kserve_clients.py HOST:PORT ROWS.csv PREDICTIONS.csv
"""

import asyncio
import sys

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

from shop import check, read_rows, read_scores, stacked

COLUMNS = {"page": "BYTES", "user_id": "BYTES", "item_id": "BYTES", "price": "FP64"}


async def main():
    address, rows, predictions = sys.argv[1:4]
    rows, expected = read_rows(rows), read_scores(predictions)
    rest = InferenceRESTClient(RESTConfig(protocol="v2"))
    base = f"http://{address}"
    assert await rest.is_server_live(base) and await rest.is_server_ready(base)
    assert await rest.is_model_ready(base, "hinet")
    check("REST", scores(await rest.infer(base, request(rows), model_name="hinet")), expected)
    client = InferenceGRPCClient(address)
    assert await client.is_server_live() and await client.is_server_ready() and await client.is_model_ready("hinet")
    check("gRPC", scores(await client.infer(request(rows))), expected)
    try:
        await client.infer(InferRequest("nothing", request(rows).inputs))
    except Exception as error:
        assert "nothing" in str(error), error
    else:
        raise AssertionError("an unknown model is not refused")
    print("all agree")


def request(rows):
    inputs = []
    for name, kind in COLUMNS.items():
        values = [float(row[name]) if kind == "FP64" else row[name].encode() for row in rows]
        entry = InferInput(name, [len(rows)], kind)
        entry.set_data_from_numpy(np.array(values, dtype=float if kind == "FP64" else object), binary_data=False)
        inputs.append(entry)
    return InferRequest("hinet", inputs)


def scores(answer):
    outputs = {output.name: output for output in answer.outputs}
    return stacked(lambda task: outputs[task].as_numpy())


asyncio.run(main())
