"""A Ranker keeps the conventions of scikit-learn's estimators, and outlives a pickle and many threads."""

import copy
import inspect
import pickle
import threading

import hinet
import joblib
import numpy
import pytest
from conftest import make_ranker
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.validation import check_is_fitted

#: Checks of scikit-learn that ask for nothing but parameters. Those that are left out call `fit(X, y)` with a matrix of numbers
#: and one label beside it, where a Ranker wants one table with scenario, features and labels.
APPLY = [
    "check_no_attributes_set_in_init",
    "check_get_params_invariance",
    "check_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_parameters_default_constructible",
    "check_mixin_order",
]


@pytest.mark.parametrize("check", APPLY)
def test_checks_of_scikit_learn_that_apply(check):
    getattr(estimator_checks, check)("Ranker", hinet.Ranker(scenario="tab", tasks=["is_click"]))


def test_a_clone_has_the_parameters_and_nothing_learnt(ranker):
    again = clone(ranker)
    assert again.get_params() == ranker.get_params()
    assert not hasattr(again, "run_")
    check_is_fitted(ranker)
    with pytest.raises(Exception, match="not fitted"):
        check_is_fitted(again)


def test_learned_attributes_and_no_others_end_in_an_underscore(ranker):
    learned = set(vars(ranker)) - set(inspect.signature(hinet.Ranker).parameters)
    assert learned == {"run_", "metrics_", "tasks_", "scenarios_", "feature_names_in_", "n_features_in_"}
    assert ranker.tasks_ == ["click", "like"] and ranker.scenarios_ == ["feed", "home", "search"]
    assert sorted(ranker.feature_names_in_) == ["age", "item_id", "tab", "user_id"] and ranker.n_features_in_ == 4


@pytest.mark.parametrize("call", ["predict_proba", "evaluate", "score", "predict_table", "explain"])
def test_scores_are_refused_before_a_fit(call, frame):
    with pytest.raises(hinet.NotFittedError, match="not fitted"):
        getattr(make_ranker(), call)(frame)


def test_a_name_that_is_no_parameter_is_refused(ranker):
    with pytest.raises(ValueError, match="no parameter 'epoch'"):
        clone(ranker).set_params(epoch=3)
    assert clone(ranker).set_params(epochs=3).epochs == 3


def test_fitting_twice_gives_the_same_and_returns_itself(frame, ranker):
    again = make_ranker()
    assert again.fit(frame) is again and again.fit(frame) is again
    assert numpy.array_equal(again.predict_proba(frame), ranker.predict_proba(frame))


def test_a_score_is_the_mean_auc_and_larger_is_better(ranker, frame):
    assert ranker.score(frame) == ranker.evaluate(frame).mean_auc > 0.55


@pytest.mark.parametrize("again", [lambda r: pickle.loads(pickle.dumps(r)), copy.deepcopy], ids=["pickle", "deepcopy"])
def test_a_pickle_and_a_copy_score_the_same(again, ranker, frame):
    restored = again(ranker)
    assert restored.run_.path != ranker.run_.path
    assert numpy.array_equal(restored.predict_proba(frame), ranker.predict_proba(frame))
    assert restored.metrics_.to_dict() == ranker.metrics_.to_dict()
    assert repr(restored) == repr(ranker)


def test_an_unfitted_ranker_is_pickled_too():
    assert pickle.loads(pickle.dumps(make_ranker())).get_params() == make_ranker().get_params()


def test_processes_of_joblib_score_the_same(ranker, frame):
    parts = [frame.iloc[start : start + 500] for start in range(0, len(frame), 500)]
    scores = joblib.Parallel(n_jobs=2)(joblib.delayed(ranker.predict_proba)(part) for part in parts)
    assert numpy.array_equal(numpy.concatenate(scores), ranker.predict_proba(frame))


def test_threads_score_the_same_side_by_side(ranker, frame):
    expected, found = ranker.predict_proba(frame), []
    threads = [threading.Thread(target=lambda: found.append(ranker.predict_proba(frame))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and all(numpy.array_equal(expected, scores) for scores in found)


def test_the_interpreter_is_free_while_a_model_trains(frame):
    ticks, done = [], threading.Event()

    def tick():
        while not done.wait(0.005):
            ticks.append(1)

    ticking = threading.Thread(target=tick)
    ticking.start()
    make_ranker(epochs=20).fit(frame)
    done.set()
    ticking.join()
    assert len(ticks) > 10


def test_a_saved_ranker_is_loaded_with_its_parameters(ranker, frame, tmp_path):
    ranker.save(tmp_path / "saved")
    loaded = hinet.Ranker.load(tmp_path / "saved")
    assert numpy.array_equal(loaded.predict_proba(frame), ranker.predict_proba(frame))
    assert [task.label for task in loaded.tasks] == ["is_click", "is_like"]
    again = clone(loaded).fit(frame)
    assert numpy.array_equal(again.predict_proba(frame), ranker.predict_proba(frame))
    with pytest.raises(hinet.RunError, match="exists already"):
        ranker.save(tmp_path / "saved")


def test_an_export_to_onnx_scores_as_the_ranker_does(ranker, tmp_path):
    assert ranker.export_onnx(tmp_path / "onnx") < 1e-5
    assert (tmp_path / "onnx" / "model.onnx").is_file()


def test_a_calibrated_ranker_is_right_on_average(ranker, frame):
    calibrated = pickle.loads(pickle.dumps(ranker))
    assert not calibrated.run_.is_calibrated
    before, after = calibrated.calibrate(frame, method="platt")
    assert calibrated.run_.is_calibrated
    assert abs(after.overall[0]["pcoc"] - 1) < abs(before.overall[0]["pcoc"] - 1) + 1e-3
    assert not numpy.array_equal(calibrated.predict_proba(frame), ranker.predict_proba(frame))


def test_rates_of_negatives_correct_scores(frame):
    plain, corrected = (
        make_ranker(tasks=[hinet.Task("click", "is_click", negative_rate=rate)], epochs=1).fit(frame).predict_proba(frame)
        for rate in [1.0, 0.1]
    )
    assert (corrected < plain).all()


def test_numbers_of_numpy_are_numbers(frame):
    rate = {"dense": {"learning_rate": numpy.float32(0.5)}}
    ranker = make_ranker(epochs=numpy.int64(1), seed=numpy.int64(3), train=rate).fit(frame)
    same = make_ranker(epochs=1, seed=3, train={"dense": {"learning_rate": 0.5}}).fit(frame)
    assert numpy.array_equal(ranker.predict_proba(frame), same.predict_proba(frame))
    with pytest.raises(TypeError, match="is a set, expected"):
        make_ranker(epochs={1}).fit(frame)


def test_more_threads_than_any_machine_has_are_refused(ranker, frame):
    with pytest.raises(hinet.HinetError, match="100000 threads: at most 1024"):
        ranker.run_.predict_proba(frame, threads=100_000)
