//! `hinet calibrate`: curves put into an artefact, and taken out.

use crate::place::{Place, log};

/// A run, and rows enough for a curve in each cell.
fn trained() -> Place {
    let place = Place::with_data();
    place.write("more.csv", &log(4, 3600));
    place.succeeds("train hinet.toml --out run --quiet");
    place
}

/// PCOC of clicks in each scenario and over all. (Orders are too few for a curve with many steps in each scenario.)
fn pcoc(json: &str, split: &str) -> Vec<f64> {
    let metrics: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let split = &metrics["splits"][split];
    let cells = ["cells", "overall"].into_iter().flat_map(|name| split[name].as_array().expect("cells"));
    let cells = cells.filter(|cell| cell["task"] == "click");
    cells.map(|cell| cell["pcoc"].as_f64().expect("a number")).collect()
}

#[test]
fn scores_change_become_right_on_average_and_come_back_when_the_curves_are_taken_out() {
    let place = trained();
    place.succeeds("predict run --data test.csv --output before.csv --quiet");
    let metrics = place.bytes("run/metrics.json");
    let uncalibrated = place.succeeds("evaluate run --data more.csv --format json --quiet");
    for method in ["platt", "isotonic"] {
        let told = place.succeeds(&format!("calibrate run --data more.csv --method {method} --format json --quiet"));
        assert_eq!(pcoc(&told, "before"), pcoc(&uncalibrated, "data"), "it is fitted on scores without curves");
        let evaluated = place.succeeds("evaluate run --data more.csv --format json --quiet");
        assert_eq!(pcoc(&told, "after"), pcoc(&evaluated, "data"));
        let off = |found: &[f64]| found.iter().map(|pcoc| (pcoc - 1.0).abs()).fold(0.0, f64::max);
        let (before, after) = (off(&pcoc(&told, "before")), off(&pcoc(&told, "after")));
        assert!(before > 0.05 && after < 0.02, "{method}: from {before} to {after}");
        place.succeeds(&format!("predict run --data test.csv --output {method}.csv --quiet"));
        assert_ne!(place.read(&format!("{method}.csv")), place.read("before.csv"));
        assert_eq!(place.bytes("run/metrics.json"), metrics);
    }
    assert_ne!(place.read("platt.csv"), place.read("isotonic.csv"));
    let output = place.run("calibrate run --remove");
    assert!(output.status.success() && output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("taken out"));
    place.succeeds("predict run --data test.csv --output after.csv --quiet");
    assert_eq!(place.read("after.csv"), place.read("before.csv"));
    assert!(String::from_utf8_lossy(&place.run("calibrate run --remove").stderr).contains("not calibrated"));
}

#[test]
fn the_table_says_whose_rows_a_curve_comes_from_and_that_they_flatter_it() {
    let place = trained();
    let table = place.succeeds("calibrate run");
    assert!(table.starts_with("before and after on the 400 rows of the fit itself, which flatters it"), "{table}");
    assert!(!table.contains("too few rows"), "{table}");
    for (scenario, task) in [("home", "click"), ("cart", "order"), ("all", "click")] {
        let words = |line: &&str| line.starts_with(scenario) && line.contains(task);
        assert_eq!(table.lines().filter(words).count(), 1, "{scenario} {task}:\n{table}");
    }
    place.write("few.csv", &log(7, 250));
    let few = place.succeeds("calibrate run --data few.csv");
    assert!(few.contains("6 of 6 cells have too few rows and take the curve of their task"), "{few}");
    let held_out = place.succeeds("calibrate run --data more.csv --test test");
    assert!(held_out.starts_with("before and after on 400 other rows than those of the fit"), "{held_out}");
    assert!(!held_out.contains("too few rows"), "{held_out}");
    let csv = place.succeeds("calibrate run --data more.csv --format csv");
    assert_eq!(csv.lines().count(), 1 + 2 * (6 + 2), "{csv}");
}

#[test]
fn the_same_calibration_gives_the_same_bytes_on_any_number_of_threads() {
    let place = trained();
    let mut seen = Vec::new();
    for threads in [1, 2] {
        place.succeeds(&format!("calibrate run --data more.csv --threads {threads} --quiet"));
        seen.push((place.bytes("run/model/calibration.json"), place.bytes("run/model/manifest.json")));
    }
    assert!(seen[0] == seen[1]);
}

#[test]
fn a_calibrated_run_still_compares_resumes_inspects_and_answers_to_unknown_scenarios() {
    let place = Place::with_data();
    place.write("more.csv", &log(4, 3600));
    place.replace("hinet.toml", "column = \"page\"", "column = \"page\"\nunknown = \"mean\"");
    place.succeeds("train hinet.toml --out run --quiet");
    place.succeeds("train hinet.toml --out other --quiet --set train.seed=8");
    let compared = place.succeeds("compare run other --format json --quiet");
    let resumed = place.succeeds("train hinet.toml --out run --resume --quiet");
    place.succeeds("calibrate run --data more.csv --quiet");
    assert_eq!(place.succeeds("compare run other --format json --quiet"), compared);
    assert_eq!(place.succeeds("train hinet.toml --out run --resume --quiet"), resumed);
    place.succeeds("inspect run --quiet");
    place.write("moon.csv", &log(5, 50).replace("home", "moon"));
    place.succeeds("predict run --data moon.csv --output moon-scores.csv --quiet");
    assert!(place.succeeds("calibrate run --data more.csv moon.csv --quiet").contains("(unknown)"));
}

#[test]
fn a_changed_byte_and_a_broken_file_are_found_and_what_cannot_be_is_refused() {
    let place = trained();
    place.succeeds("calibrate run --data more.csv --quiet");
    let whole = place.bytes("run/model/calibration.json");
    let mut bytes = whole.clone();
    bytes[whole.len() / 2] ^= 1;
    fs_err::write(place.path("run/model/calibration.json"), bytes).expect("a writable file");
    place.refuses(1, "predict run --data test.csv --output scores.csv", &["calibration.json", "checksum"]);
    place.refuses(1, "calibrate run --remove", &["calibration.json"]);
    fs_err::remove_file(place.path("run/model/calibration.json")).expect("it was there");
    place.refuses(1, "predict run --data test.csv --output scores.csv", &["calibration.json", "not found"]);
    fs_err::write(place.path("run/model/calibration.json"), &whole).expect("a writable file");

    place.refuses(1, "calibrate run --method isotonic", &["400 rows", "1000", "--data"]);
    place.write("one.csv", &log(6, 900).replace(",1,", ",0,"));
    place.refuses(1, "calibrate run --data one.csv", &["0 of them positive"]);
    place.refuses(2, "calibrate run --data nowhere.csv", &["nowhere.csv"]);
    place.refuses(2, "calibrate run --remove --method platt", &["--remove", "--method"]);
    place.refuses(2, "calibrate nowhere", &["nowhere"]);
    fs_err::rename(place.path("valid.csv"), place.path("valid-2.csv")).expect("it was there");
    place.refuses(2, "calibrate run", &["valid.csv"]);
    assert!(place.bytes("run/model/calibration.json") == whole, "a refusal changed the curves");
}

#[test]
fn a_rate_of_negatives_that_is_none_is_refused_and_scores_are_corrected_for_one() {
    let place = Place::with_data();
    place.refuses(2, "train hinet.toml --out run --set task.click.negative_rate=0", &["negative_rate", "above 0"]);
    place.refuses(2, "train hinet.toml --out run --set task.click.negative_rate=1.5", &["negative_rate", "1.5"]);
    place.succeeds("train hinet.toml --out run --quiet");
    place.succeeds("train hinet.toml --out spared --quiet --set task.click.negative_rate=0.1");
    for run in ["run", "spared"] {
        place.succeeds(&format!("predict {run} --data test.csv --output {run}.csv --quiet"));
    }
    let scores = |run: &str| -> Vec<(f64, String)> {
        let rows = place.read(&format!("{run}.csv"));
        let parse = |line: &str| {
            let mut fields = line.split(',').skip(1);
            (fields.next().and_then(|p| p.parse().ok()).expect("a number"), fields.collect())
        };
        rows.lines().skip(1).map(parse).collect()
    };
    for ((plain, order), (spared, same)) in scores("run").into_iter().zip(scores("spared")) {
        let expected = plain * 0.1 / (plain * 0.1 + 1.0 - plain);
        assert!((spared - expected).abs() < 1e-6 && order == same, "{plain} became {spared}, not {expected}");
    }
}
