"""What the README says about Python is run as it stands there."""

import re
from pathlib import Path

import hinet

ROOT = Path(__file__).parents[2]


def code_of(document: Path) -> str:
    blocks = re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks, f"{document} has no code"
    return "\n".join(blocks)


def run_with_clicks(code: str, frame, folder, monkeypatch, capsys) -> dict:
    frame.to_parquet(folder / "clicks.parquet")
    monkeypatch.chdir(folder)
    scope: dict = {}
    exec(compile(code, "README.md", "exec"), scope)  # noqa: S102
    return {**scope, "printed": capsys.readouterr().out}


def test_three_lines_train_hinet_on_a_pandas_frame_and_print_the_cells(frame, tmp_path, monkeypatch, capsys):
    done = run_with_clicks(code_of(ROOT / "README.md"), frame, tmp_path, monkeypatch, capsys)
    printed, ranker = done["printed"], done["ranker"]
    assert isinstance(ranker, hinet.Ranker)
    assert ranker.run_.config["model"]["preset"] == "hinet"
    lines = [line.split() for line in printed.splitlines()]
    for scenario in ["feed", "home", "search"]:
        for task in ["click", "like"]:
            found = [line for line in lines if line[:2] == [scenario, task]]
            assert found, f"no cell of {scenario} and {task} in:\n{printed}"
            assert 0.4 < float(found[0][4]) < 1.0


def test_the_readme_of_the_package_says_the_same(frame, tmp_path, monkeypatch, capsys):
    done = run_with_clicks(code_of(ROOT / "crates/py/README.md"), frame, tmp_path, monkeypatch, capsys)
    assert "search" in done["printed"]
