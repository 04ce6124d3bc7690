//! What a test does when its means are absent: shared data, Python, a browser.
//!
//! Included by path, so that no crate has to exist for it:
//!
//! ```text
//! #[path = "../../../../tests/support/skip.rs"]
//! mod skip;
//!
//! #[test]
//! fn kuairand_rows_are_read_in_order() {
//!     let Some(data) = skip::shared_data("kuairand_rows_are_read_in_order") else { return };
//! ```
//!
//! A test without its means prints `SKIPPED <test>: <reason>`, adds that line to the file that `HINET_SKIPPED` names
//! (`make test` sets it and lists them), and passes. Where `HINET_TEST_REQUIRE` (a comma list of `shared`, `python`,
//! `torch`, `browser`) names the means, it fails instead.
#![allow(dead_code)] // each test binary includes the whole file and uses the part it needs

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// The folder with `kuairand-pure/` and `coupon/`, from `HINET_SHARED_DATA`.
pub(crate) fn shared_data(test: &str) -> Option<PathBuf> {
    folder_or_file("HINET_SHARED_DATA").or_else(|| skip(test, "shared", "set HINET_SHARED_DATA"))
}

/// A Python interpreter with the packages of `tests/requirements.txt`, from `HINET_TEST_PYTHON`.
pub(crate) fn python(test: &str) -> Option<PathBuf> {
    folder_or_file("HINET_TEST_PYTHON").or_else(|| {
        skip(test, "python", "set HINET_TEST_PYTHON to a Python with the packages of tests/requirements.txt")
    })
}

/// That interpreter, where it has PyTorch too, which is gigabytes.
pub(crate) fn torch(test: &str) -> Option<PathBuf> {
    let has_torch = |python: &PathBuf| {
        let find = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)";
        Command::new(python).args(["-c", find]).status().is_ok_and(|status| status.success())
    };
    folder_or_file("HINET_TEST_PYTHON").filter(has_torch).or_else(|| {
        skip(test, "torch", "set HINET_TEST_PYTHON to a Python with tests/requirements.txt, and torch besides")
    })
}

/// A Chromium or Chrome, from the PATH.
pub(crate) fn browser(test: &str) -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    on_path(&names).or_else(|| skip(test, "browser", "install chromium"))
}

/// What lets a test click in that browser.
pub(crate) fn browser_driver(test: &str) -> Option<PathBuf> {
    on_path(&["chromedriver"]).or_else(|| skip(test, "browser", "install chromium-driver"))
}

fn on_path(names: &[&str]) -> Option<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let found: Vec<PathBuf> =
        env::split_paths(&folders).flat_map(|folder| names.iter().map(move |name| folder.join(name))).collect();
    found.into_iter().find(|path| path.is_file())
}

/// Records that `test` did not run for want of `means`, or panics where that is not allowed. Always `None`.
pub(crate) fn skip(test: &str, means: &str, reason: &str) -> Option<PathBuf> {
    let required = env::var("HINET_TEST_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|word| word.trim() == means),
        "{test} needs {means}, which HINET_TEST_REQUIRE asks for: {reason}"
    );
    let line = format!("SKIPPED {test}: {reason}\n");
    print!("{line}");
    if let Some(path) = env::var_os("HINET_SKIPPED") {
        // One write call per line: tests of several threads and processes append to this file.
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            panic!("cannot note a skipped test in {}: {error}", PathBuf::from(path).display());
        }
    }
    None
}

fn folder_or_file(variable: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os(variable).filter(|value| !value.is_empty())?);
    assert!(path.exists(), "{variable} names {}, which does not exist", path.display());
    Some(path)
}
