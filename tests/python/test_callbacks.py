"""Callbacks are told what happens and may end it; Ctrl-C works; trackers and tuners of others are a few lines each."""

import signal
import subprocess
import sys
import time

import hinet
import mlflow
import optuna
import pytest
from conftest import make_frame, make_ranker


class Recorder(hinet.Callback):
    def __init__(self):
        self.begins, self.steps, self.evaluations, self.ended = [], [], [], []

    def on_begin(self, begins):
        self.begins.append(begins)

    def on_step(self, step):
        self.steps.append(step)

    def on_evaluation(self, evaluation):
        self.evaluations.append(evaluation)

    def on_end(self, metrics):
        self.ended.append(metrics)


@pytest.fixture(scope="module")
def parts():
    return make_frame(2000), make_frame(600, seed=1)


def test_steps_and_evaluations_are_told_in_their_order(parts):
    train, valid = parts
    told = Recorder()
    ranker = make_ranker(epochs=3).fit(train, valid=valid, callbacks=told)
    assert [begins.rows for begins in told.begins] == [2000] and told.begins[0].tasks == ["click", "like"]
    assert [step.step for step in told.steps] == list(range(1, 25))
    assert [step.epoch for step in told.steps] == [1] * 8 + [2] * 8 + [3] * 8
    assert all(step.losses["click"] > 0 for step in told.steps) and sum(step.rows for step in told.steps) == 6000
    assert [evaluation.step for evaluation in told.evaluations] == [8, 16, 24]
    assert all(evaluation.metric == evaluation.metrics.mean_auc for evaluation in told.evaluations)
    assert len(told.evaluations[0].metrics.cells) == 6
    assert told.ended[0].to_dict() == ranker.metrics_.to_dict()


def test_a_function_is_told_evaluations_alone(parts):
    train, valid = parts
    seen = []
    make_ranker(epochs=2).fit(train, valid=valid, callbacks=lambda evaluation: seen.append(evaluation.step))
    assert seen == [8, 16]


@pytest.mark.parametrize("how", ["returns", "raises"])
def test_a_callback_ends_training_with_a_model_that_is_whole(how, parts):
    train, valid = parts

    class Enough(Recorder):
        def on_step(self, step):
            super().on_step(step)
            if step.step == 5 and how == "raises":
                raise hinet.StopTraining
            return step.step == 5

    told = Enough()
    ranker = make_ranker(epochs=3).fit(train, valid=valid, callbacks=told)
    assert len(told.steps) == 5 and [one.step for one in told.evaluations] == [5]
    assert ranker.metrics_["valid"].rows == 600 and ranker.predict_proba(valid).shape == (600, 2)


def test_an_exception_of_a_callback_reaches_the_caller_and_the_run_can_be_resumed(parts, tmp_path):
    train, valid = parts

    def fail(evaluation):
        raise LookupError("my own")

    with pytest.raises(LookupError, match="my own"):
        make_ranker().fit(train, valid=valid, out=tmp_path / "run", callbacks=fail)
    resumed = make_ranker().fit(train, valid=valid, out=tmp_path / "run", resume=True)
    whole = make_ranker().fit(train, valid=valid)
    assert resumed.metrics_.to_dict() == whole.metrics_.to_dict()


def test_resuming_on_other_rows_is_refused(parts, tmp_path):
    train, valid = parts
    with pytest.raises(hinet.StopTraining.__mro__[1]):
        make_ranker().fit(train, valid=valid, out=tmp_path / "run", callbacks=lambda evaluation: 1 / 0)
    with pytest.raises(hinet.RunError, match="2000 rows long .* and is 1999 rows long now"):
        make_ranker().fit(train.head(1999), valid=valid, out=tmp_path / "run", resume=True)


INTERRUPTED = """
import sys, hinet
sys.path.insert(0, {tests!r})
from conftest import make_frame, make_ranker
frame = make_frame(2000)
try:
    make_ranker(epochs=1_000_000).fit(frame, out={out!r}, callbacks=None or [])
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_stops_with_a_checkpoint(tmp_path):
    code = INTERRUPTED.format(tests=str(__import__("pathlib").Path(__file__).parent), out=str(tmp_path / "run"))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    begun = time.monotonic()
    while not (tmp_path / "run" / "history.jsonl").exists():
        assert process.poll() is None and time.monotonic() - begun < 60, process.communicate()
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    said, problems = process.communicate(timeout=30)
    assert said.strip() == "interrupted", problems
    assert process.returncode == 0
    assert any((tmp_path / "run" / "checkpoint").iterdir())


def test_what_is_no_callback_is_refused(parts):
    with pytest.raises(TypeError, match="callbacks"):
        make_ranker().fit(parts[0], callbacks=[3])


def test_warnings_are_told(parts):
    texts = []

    class Listening(hinet.Callback):
        def on_warning(self, text):
            texts.append(text)

    make_ranker(epochs=1).fit(parts[0], callbacks=Listening())
    assert any("valid" in text for text in texts)


def test_mlflow_tracks_a_training_in_a_few_lines(parts, tmp_path, monkeypatch):
    train, valid = parts
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())

    class ToMlflow(hinet.Callback):
        def on_step(self, step):
            mlflow.log_metrics({f"loss_{task}": loss for task, loss in step.losses.items()}, step=step.step)

        def on_evaluation(self, evaluation):
            mlflow.log_metric(evaluation.monitor, evaluation.metric, step=evaluation.step)

    with mlflow.start_run() as run:
        ranker = make_ranker().fit(train, valid=valid, callbacks=ToMlflow())
    client = mlflow.MlflowClient()
    assert len(client.get_metric_history(run.info.run_id, "loss_click")) == 16
    aucs = [metric.value for metric in client.get_metric_history(run.info.run_id, "mean_auc")]
    assert len(aucs) == 2 and max(aucs) == ranker.metrics_["valid"].mean_auc


def test_optuna_tunes_and_prunes_in_a_few_lines(parts):
    train, valid = parts

    def objective(trial):
        def report(evaluation):
            trial.report(evaluation.metric, evaluation.step)
            if trial.should_prune():
                raise optuna.TrialPruned

        rate = trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
        ranker = make_ranker(epochs=3, train={"dense": {"learning_rate": rate}})
        return ranker.fit(train, valid=valid, callbacks=report).metrics_["valid"].mean_auc

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler(seed=1)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=optuna.pruners.MedianPruner(n_startup_trials=2))
    study.optimize(objective, n_trials=6)
    states = [trial.state for trial in study.trials]
    assert optuna.trial.TrialState.PRUNED in states and optuna.trial.TrialState.FAIL not in states
    assert 0.5 < study.best_value < 1
