"""What the comparison does with numbers, without any peer: python3 -m unittest discover benches/peers"""

import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

import alone
import context
import encode
import infer
import rechub
import train
import vw
from engine import Case, Engine, Failed, Ratio, run, run_in_turn, why
from report import Report, number, ratio, summary
from run import options

CASE = Case(
    "batch 1024",
    [Engine("hinet", ["ours"]), Engine("best", ["theirs"]), Engine("absent", [], "absent did not install")],
    [Ratio("train_best_1t", "hinet", "best"), Ratio("train_absent_1t", "hinet", "absent")],
)


def speeds(by_command):
    """In place of `run`: gives the numbers of a command one after the other, or fails."""
    rest = {command: list(values) for command, values in by_command.items()}

    def fake(command):
        value = rest[command[0]].pop(0)
        if isinstance(value, str):
            raise Failed(value)
        return {"rows_per_s": value, "peak_rss_mb": value / 10}

    return fake


def measured(by_command, rounds=3):
    made = Report({"commit": "abc", "packages": {"torch": "2.0", "fuxictr": None}})
    with contextlib.redirect_stderr(io.StringIO()):
        made.add("train", ["a note"], CASE, run_in_turn(CASE, rounds, speeds(by_command)))
    return made


class Ratios(unittest.TestCase):
    def test_more_rows_and_shorter_calls_are_both_better(self):
        self.assertEqual(ratio(300, 200, "rows_per_s"), 1.5)
        self.assertEqual(ratio(2.0, 3.0, "p50_ms"), 1.5)

    def test_nothing_is_divided_by_zero(self):
        self.assertIsNone(ratio(300, 0, "rows_per_s"))

    def test_one_measure_of_an_engine_can_stand_over_another(self):
        case = Case("memory", [Engine("hinet", ["ours"])], [Ratio("memory", "hinet", "hinet", "peak_rss_mb", "table_mb")])
        made = Report({})
        made.add("hinet", [], case, run_in_turn(case, 1, lambda command: {"rows_per_s": 1, "table_mb": 100, "peak_rss_mb": 120}))
        self.assertEqual(made.ratios, {"memory": 1.2})

    def test_the_median_of_rounds_counts_and_the_spread_is_kept(self):
        self.assertEqual(summary([5, 1, 3]), {"median": 3, "low": 1, "high": 5})
        made = measured({"ours": [30, 10, 20], "theirs": [10, 9, 11]})
        self.assertEqual(made.ratios["train_best_1t"], 2.0)
        cell = made.cells[0]
        self.assertEqual((cell["low"], cell["high"], cell["rounds"], cell["peak_rss_mb"]), (10, 30, [30, 10, 20], 3.0))


class Failures(unittest.TestCase):
    def test_what_is_absent_is_null_with_its_reason(self):
        made = measured({"ours": [30] * 3, "theirs": [10] * 3})
        self.assertIsNone(made.ratios["train_absent_1t"])
        self.assertEqual(made.reasons, {"train_absent_1t": "absent did not install"})

    def test_an_engine_that_fails_later_costs_the_others_nothing(self):
        made = measured({"ours": [30] * 3, "theirs": [10, "out of memory"]})
        self.assertIsNone(made.ratios["train_best_1t"])
        self.assertEqual(made.reasons["train_best_1t"], "out of memory")
        self.assertEqual([cell["median"] for cell in made.cells], [30, None, None])

    def test_a_result_without_its_number_is_a_failure(self):
        with contextlib.redirect_stderr(io.StringIO()):
            outcomes = run_in_turn(CASE, 1, lambda command: {"peak_rss_mb": 1})
        self.assertEqual(outcomes["hinet"].reason, "printed no rows_per_s")

    def test_a_command_is_run_and_its_last_line_read(self):
        self.assertEqual(run([sys.executable, "-c", "print('a line'); print('{\"rows_per_s\": 3}')"]), {"rows_per_s": 3})
        for script, reason in [("import no_such_module", "No module named"), ("print('no json')", "printed no JSON")]:
            with self.assertRaisesRegex(Failed, reason):
                run([sys.executable, "-c", script])
        with self.assertRaises(Failed):
            run(["no-such-program"])

    def test_the_reason_is_the_last_thing_said(self):
        self.assertEqual(why(1, "Traceback\n  line 1\nValueError: bad\n\n"), "ValueError: bad")
        self.assertEqual(why(3, ""), "exit code 3")
        self.assertIn("signal 9", why(-9, "ignored"))


class Options(unittest.TestCase):
    def test_what_would_measure_nothing_is_refused(self):
        for words, said in [
            (["--rounds", "-1"], "1 or more"), (["--rounds", "0"], "1 or more"), (["--rounds", "many"], "--rounds"),
            (["--seconds", "0"], "above 0"), (["--seconds", "nan"], "above 0"), (["--seconds", "inf"], "above 0"),
            (["--batch", "0"], "1 or more"), (["--batch", "1024", "-5"], "1 or more"), (["--batch", "8", "8"], "twice"),
            (["--parts", "train,train"], "twice"), (["--parts", "train,"], "no part ''"),
        ]:
            heard = io.StringIO()
            with self.subTest(words), contextlib.redirect_stderr(heard), self.assertRaises(SystemExit) as ended:
                options(words)
            self.assertEqual(ended.exception.code, 2)
            self.assertIn(said, heard.getvalue())

    def test_what_is_left_out_has_its_default(self):
        given, quick = options([]), options(["--quick", "--rounds", "2"])
        self.assertEqual((given.rounds, given.seconds, given.batch), (5, 3, [1024, 4096]))
        self.assertEqual((quick.rounds, quick.seconds, quick.batch), (2, 0.5, [1024]))


class Keys(unittest.TestCase):
    """The parts as they are, with programs that do not exist."""

    def report(self, quick=False, **other):
        made = Report({})
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            with mock.patch.object(context, "TARGET", pathlib.Path(folder)):
                settings = {"lacking": {}, "seconds": 1, "batches": (1024, 4096), "quick": quick} | other
                shared = context.Context(python="no-such-python", built=pathlib.Path(folder), **settings)
                for part in (train, rechub, alone, infer, encode, vw):
                    for case in part.cases(shared):
                        made.add(part.NAME, part.NOTES, case, run_in_turn(case, 1))
        return made

    def test_every_ratio_has_its_key_whatever_fails(self):
        made = self.report()
        variants = ("naive", "naive_sparse", "best", "bf16", "bf16_best")
        expected = {f"train_{name}_{threads}t{batch}" for name in variants for threads in (1, 2) for batch in ("", "_b4096")}
        expected |= {f"infer_onnxruntime_{rows}" for rows in (1, 32, 256, 1000, "user_500")}
        models, sizes = ("mmoe", "ple", "shared_bottom"), ("10k", "1m", "10m")
        expected |= {f"rechub_{tuned}{model}_{size}" for tuned in ("", "tuned_") for model in models for size in sizes}
        expected |= {f"fuxictr_shared_bottom_{size}" for size in sizes}
        expected |= {f"scale_{model}_{size}" for model in (*models, "hinet") for size in sizes[1:]}
        expected |= {f"{name}{batch}" for name in ("threads_2_over_1", "peak_share_1t") for batch in ("", "_b4096")}
        expected |= {"memory_adagrad_10m", "encode_sklearn", "encode_fit_sklearn", "encode_pyarrow", "encode_fit_pyarrow"}
        expected |= {f"vw_logistic{form}{fitting}" for form in ("", "_parquet") for fitting in ("", "_all")}
        self.assertEqual(set(made.ratios), expected)
        self.assertEqual(set(made.ratios.values()), {None})
        self.assertEqual(set(made.reasons), expected)

    def test_a_package_that_is_not_there_is_named(self):
        made = self.report(quick=True, lacking={"torch": "torch did not install: no wheel"})
        reasons = {cell["reason"] for cell in made.cells if cell["engine"] in ("best", "torch-rechub, 10k rows", "ONNX Runtime")}
        self.assertEqual(reasons, {"torch did not install: no wheel"})

    def test_bf16_is_null_with_a_reason_on_a_processor_without_amx(self):
        with mock.patch.object(train, "flags", lambda: ["avx2"]):
            made = self.report(quick=True)
        self.assertIsNone(made.ratios["train_bf16_1t"])
        self.assertEqual(made.reasons["train_bf16_1t"], "the processor lacks AMX, and hinet computes in f32 alone")

    def test_bf16_is_null_with_a_reason_on_a_processor_with_amx_too(self):
        with mock.patch.object(train, "flags", lambda: ["amx_bf16"]):
            made = self.report(quick=True)
        self.assertEqual(made.reasons["train_bf16_1t"], "hinet computes in f32 alone")


class Table(unittest.TestCase):
    def test_each_engine_has_a_row_and_null_has_its_reason(self):
        made = measured({"ours": [3000, 1000, 2000], "theirs": [1000] * 3})
        text = made.markdown()
        self.assertIn("| batch 1024 | best | rows/s | 1,000 | 1,000 to 1,000 | 2.00 | 100 |", text)
        self.assertIn("| batch 1024 | absent | rows/s | - (absent did not install) |", text)
        self.assertIn("- `train_absent_1t`: absent did not install", text)
        self.assertIn("a note", text)
        self.assertIn("torch 2.0", text)
        self.assertEqual({line.count("|") for line in text.splitlines() if line.startswith("|")}, {8})

    def test_the_json_holds_what_the_table_shows(self):
        made = json.loads(measured({"ours": [30] * 3, "theirs": [10] * 3}).to_json())
        self.assertEqual(made["ratios"], {"train_best_1t": 3.0, "train_absent_1t": None})
        self.assertEqual(len(made["cells"]), 3)

    def test_a_folder_that_is_not_there_is_made(self):
        with tempfile.TemporaryDirectory() as folder:
            target = pathlib.Path(folder) / "not" / "there"
            measured({"ours": [30] * 3, "theirs": [10] * 3}).write(target)
            self.assertEqual({path.name for path in target.iterdir()}, {"bench-peers.md", "bench-peers.json"})

    def test_numbers_have_the_digits_that_say_something(self):
        self.assertEqual([number(value) for value in (None, 12345.6, 0.43219, 7.5)], ["-", "12,346", "0.4322", "7.5"])


if __name__ == "__main__":
    unittest.main()
