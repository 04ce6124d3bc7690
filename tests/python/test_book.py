"""The book's chapter on Python is run as it stands there, block after block in one namespace."""

import re
from pathlib import Path

CHAPTER = Path(__file__).parents[2] / "docs/book/en/src/python.md"


def test_the_chapter_of_the_book_runs_from_its_first_block_to_its_last(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", CHAPTER.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 10, "blocks of code in the chapter"
    scope: dict = {}
    for number, block in enumerate(blocks, 1):
        exec(compile(block, f"{CHAPTER.name}, block {number}", "exec"), scope)  # noqa: S102
    printed = capsys.readouterr().out
    for scenario in ["home", "search", "cart"]:
        assert re.search(rf"^{scenario} +click +\d", printed, re.MULTILINE), printed
    assert scope["ranker"].tasks_ == ["click", "order"]
    assert len(scope["seen"]) == 3, "evaluations that the callback was told"
    for name in ["shop/metrics.json", "exported/model.onnx", "runs/first/report.html"]:
        assert (tmp_path / name).is_file(), name
    assert "is not a label" in printed
