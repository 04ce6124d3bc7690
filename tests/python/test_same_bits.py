"""Same data, config and seed: Python and the command line give the same bits."""

import subprocess
from pathlib import Path

import hinet
import polars
import pytest
from conftest import make_frame, make_ranker

#: All that a run comes to. `config.toml` and `split.json` name the data, `timing.json` and `report.html` the time it took.
RESULTS = ["metrics.json", "history.jsonl", "calibration.json", "inspection.json", "model"]


def bytes_of(run: Path) -> dict[str, bytes]:
    files = [file for name in RESULTS for file in sorted([run / name, *(run / name).rglob("*")]) if file.is_file()]
    return {str(file.relative_to(run)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def by_program(program, tmp_path_factory):
    """A config, its data, and the run that the program makes of them."""
    folder = tmp_path_factory.mktemp("program")
    parts = {"train": make_frame(6000), "valid": make_frame(1500, seed=1), "test": make_frame(1500, seed=2)}
    for name, part in parts.items():
        part.to_parquet(folder / f"{name}.parquet")
    experiment = make_ranker(patience=2).experiment(
        folder / "train.parquet", valid=folder / "valid.parquet", test=folder / "test.parquet"
    )
    (folder / "hinet.toml").write_text(experiment.to_toml())
    subprocess.run([program, "train", folder / "hinet.toml", "--out", folder / "run", "--quiet"], check=True)
    found = bytes_of(folder / "run")
    assert len(found) > 5 and "model/manifest.json" in found
    return folder, parts, found


def test_the_same_file_gives_the_same_bits(by_program, tmp_path):
    folder, _, expected = by_program
    hinet.Experiment.from_toml(folder / "hinet.toml").fit(tmp_path / "run")
    assert bytes_of(tmp_path / "run") == expected


@pytest.mark.parametrize("form", ["pandas", "polars", "stream"])
def test_tables_in_place_of_the_files_give_the_same_bits(form, by_program, tmp_path):
    folder, parts, expected = by_program
    into = {"pandas": lambda part: part, "polars": polars.from_pandas, "stream": lambda part: iter(batches(part))}[form]
    given = {name: into(part) for name, part in parts.items()}
    hinet.Experiment.from_toml(folder / "hinet.toml", **given).fit(tmp_path / "run")
    assert bytes_of(tmp_path / "run") == expected


def batches(frame):
    return polars.from_pandas(frame).to_arrow().to_batches(max_chunksize=999)


def test_a_ranker_gives_the_same_bits(by_program, tmp_path):
    _, parts, expected = by_program
    ranker = make_ranker(patience=2).fit(parts["train"], valid=parts["valid"], test=parts["test"], out=tmp_path / "run")
    assert bytes_of(ranker.run_.path) == expected


def test_threads_and_callbacks_change_nothing(by_program, tmp_path):
    folder, parts, expected = by_program
    steps: list[int] = []

    class Watching(hinet.Callback):
        def on_step(self, step):
            steps.append(step.step)

    experiment = hinet.Experiment.from_toml(folder / "hinet.toml", {"train.threads": 2}, **parts)
    experiment.fit(tmp_path / "run", callbacks=Watching())
    assert bytes_of(tmp_path / "run") == expected
    assert steps == list(range(1, len(steps) + 1)) and len(steps) > 20


def test_the_program_reads_what_python_saved_and_scores_the_same(by_program, program, ranker, tmp_path):
    folder, parts, _ = by_program
    ranker.save(tmp_path / "saved")
    command = [program, "predict", tmp_path / "saved", "--data", folder / "test.parquet", "--output", tmp_path / "scores.parquet"]
    subprocess.run([*command, "--quiet"], check=True)
    scored = polars.read_parquet(tmp_path / "scores.parquet").select("p_click", "p_like").to_numpy()
    assert (scored == ranker.predict_proba(parts["test"])).all()


def test_what_is_guessed_is_what_init_guesses(program, frame, tmp_path):
    frame.to_parquet(tmp_path / "rows.parquet")
    command = [program, "init", "rows.parquet", "--scenario", "tab", "--task", "is_click", "--task", "is_like", "--output", "hinet.toml"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    by_init = hinet.Experiment.from_toml(tmp_path / "hinet.toml", {"name": "ranker"})
    by_ranker = hinet.Ranker(scenario="tab", tasks=["is_click", "is_like"]).experiment(tmp_path / "rows.parquet")
    assert by_ranker.to_toml() == by_init.to_toml()
