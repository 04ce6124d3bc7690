"""The reference HiNet as a runtime of MLServer, on ONNX Runtime with one thread per process."""

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

# Rows 0 and 1 of a table are for missing and unseen values.
FIRST = 2


class Ranker(MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = self.settings.parameters.uri
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.tasks = [output.name for output in self.session.get_outputs()]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        feed = {}
        for entry in payload.inputs:
            values = NumpyCodec.decode_input(entry).reshape(-1).astype(np.int64)
            feed[entry.name] = values if entry.name == "scenario" else values + FIRST
        scores = self.session.run(None, feed)
        outputs = [NumpyCodec.encode_output(task, column) for task, column in zip(self.tasks, scores)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
