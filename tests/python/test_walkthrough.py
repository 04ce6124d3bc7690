"""The notebook runs from its first cell to its last."""

from pathlib import Path

import nbclient
import nbformat

NOTEBOOK = Path(__file__).parents[2] / "docs/notebooks/from-file-to-server.ipynb"


def outputs_of(cell) -> str:
    return str([output.get("data", output.get("text")) for output in cell.outputs])


def test_the_notebook_goes_from_a_raw_file_to_a_served_model(tmp_path, program):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are made, not kept"
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [outputs_of(cell) for cell in notebook.cells if cell.cell_type == "code"]
    assert any("<svg" in one for one in shown) and any("<table" in one for one in shown)
    assert "'items'" in shown[-2] or "scores" in shown[-2]
    assert (tmp_path / "model" / "metrics.json").is_file()
