//! `hinet convert`: what it writes is checked and trained on as it stands.

use std::path::Path;
use std::time::Duration;

use crate::place::Place;
use crate::published;

/// Converts, checks, and trains for one epoch; returns what `convert` told.
fn converted_and_trained(place: &Place, name: &str, rows: u64) -> serde_json::Value {
    let told = place.succeeds(&format!("convert {name} published --out data --format json --quiet"));
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let parts = told["rows"].as_array().expect("rows of the parts");
    let all: u64 = parts.iter().filter_map(serde_json::Value::as_u64).sum();
    assert_eq!(all + told["left_out"].as_u64().expect("a number"), rows, "{told}");
    assert_eq!(
        place.names("data"),
        ["convert.json", "hinet.toml", "test.parquet", "train.parquet", "valid.parquet"],
        "{told}"
    );
    let recorded: serde_json::Value = serde_json::from_str(&place.read("data/convert.json")).expect("JSON");
    assert_eq!(recorded, told);
    place.succeeds("check data/hinet.toml");
    place.succeeds("train data/hinet.toml --out run --quiet --set train.epochs=1 --set train.threads=1");
    let metrics: serde_json::Value = serde_json::from_str(&place.read("run/metrics.json")).expect("JSON");
    assert!(metrics.to_string().contains("auc"), "{metrics}");
    told
}

#[test]
fn aliccp_is_converted_checked_and_trained_on() {
    let place = Place::empty();
    published::aliccp(&place.path("published"), 2000, 5);
    let told = converted_and_trained(&place, "aliccp", 2500);
    assert_eq!((told["split"].as_str(), told["rows"][2].as_u64()), (Some("recorded"), Some(500)));
}

#[test]
fn aliexpress_is_converted_checked_and_trained_on_in_both_forms() {
    for joined in [false, true] {
        let place = Place::empty();
        published::aliexpress(&place.path("published"), 800, joined);
        let told = converted_and_trained(&place, "aliexpress", 2000);
        assert_eq!(told["rows"][2].as_u64(), Some(400));
    }
}

#[test]
fn kuairand_is_converted_checked_and_trained_on() {
    let place = Place::empty();
    published::kuairand(&place.path("published/KuaiRand-Pure"), "pure", 3000);
    let told = converted_and_trained(&place, "kuairand", 3000);
    assert_eq!(told["split"].as_str(), Some("time"));
}

#[test]
fn movielens_is_converted_checked_and_trained_on() {
    let place = Place::empty();
    published::movielens(&place.path("published"), 2000);
    let told = converted_and_trained(&place, "movielens", 2000);
    assert_eq!((told["split"].as_str(), told["seed"].as_u64()), (Some("random"), Some(7)));
}

#[test]
fn census_is_converted_checked_and_trained_on() {
    let place = Place::empty();
    published::census(&place.path("published"), 1500);
    let told = converted_and_trained(&place, "census", 2250);
    assert_eq!((told["valid"].as_f64(), told["test"].is_null()), (Some(0.5), true));
}

#[test]
fn the_parts_are_told_and_what_cannot_be_converted_is_refused() {
    let place = Place::empty();
    published::movielens(&place.path("ml-1m"), 500);
    let table = place.succeeds("convert movielens ml-1m --out data --split user --valid 0.2 --test 0.3");
    assert_eq!(table.lines().count(), 4, "{table}");
    let csv = place.succeeds("convert movielens ml-1m --out same --split user --valid 0.2 --test 0.3 --format csv");
    assert!(csv.starts_with("part,rows\ntrain,"), "{csv}");
    assert_eq!(place.bytes("data/train.parquet"), place.bytes("same/train.parquet"), "the same bytes");
    place.refuses(2, "convert movielens ml-1m --out data", &["--out", "data", "exists already"]);
    place.refuses(2, "convert movielens ml-1m --out new --split recorded", &["--split", "without a split"]);
    place.refuses(2, "convert movielens ml-2m --out new", &["ml-2m", "did you mean `ml-1m`"]);
    place.refuses(2, "convert census ml-1m --out new", &["census-income.data", "does not exist"]);
    place.refuses(2, "convert movielense ml-1m --out new", &["movielense", "movielens"]);
    let ratings = place.read("ml-1m/ratings.dat");
    place.write("ml-1m/ratings.dat", &format!("{ratings}1::2\n"));
    place.refuses(1, "convert movielens ml-1m --out new", &["ratings.dat", "line 501", "2 values, expected 4"]);
    assert!(!place.path("new").exists(), "nothing is left of what was refused");
    let output = place.run("convert movielens ml-1m --out new --skip-broken 1");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("passed over") && told.contains("line 501"), "{told}");
}

/// Megabytes of published files that [`memory_does_not_grow_with_the_published_files`] makes.
const MEGABYTES: &str = "HINET_LONG_MB";

/// Takes long and much disk: part of `make verify-long`, which prints what it measures.
#[test]
#[ignore = "writes gigabytes; make verify-long runs it"]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_published_files() {
    let megabytes = std::env::var(MEGABYTES).map_or(5000, |text| text.parse().expect("a number of megabytes"));
    let (small, large) = (peak_of_converting(megabytes / 10), peak_of_converting(megabytes));
    assert!(large < small + 160, "{} MB of files took {small} MB, ten times as much {large} MB", megabytes / 10);
}

/// Makes so many megabytes of Ali-CCP, converts them, and returns the megabytes that were resident at the most.
#[cfg(target_os = "linux")]
fn peak_of_converting(megabytes: u64) -> u64 {
    let place = Place::empty();
    published::aliccp(&place.path("published"), megabytes * 1_000_000 / 650, 80);
    let files = size_of_folder(&place.path("published"));
    let begin = std::time::Instant::now();
    let mut program = place.command("convert aliccp published --out data").spawn().expect("the program starts");
    let status = format!("/proc/{}/status", program.id());
    let mut peak = 0;
    while program.try_wait().expect("a child").is_none() {
        let text = fs_err::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or(0) / 1024);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(program.wait().expect("a child").success());
    let (seconds, written) = (begin.elapsed().as_secs_f64(), size_of_folder(&place.path("data")));
    println!("Ali-CCP of {files} MB in {seconds:.1} s into {written} MB, {peak} MB resident at the most");
    peak
}

#[cfg(target_os = "linux")]
fn size_of_folder(folder: &Path) -> u64 {
    let entries = fs_err::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries.map(|entry| entry.metadata().expect("a file").len()).sum::<u64>() / 1_000_000
}
