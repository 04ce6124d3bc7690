//! The Python package by its own tests, on the module and the program that cargo built for this one.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

#[path = "../../../tests/support/skip.rs"]
mod skip;

/// A module of Python as it is called on every system but Windows.
const MODULE: &str = if cfg!(windows) { "_hinet.pyd" } else { "_hinet.abi3.so" };

#[test]
fn the_python_package_passes_its_own_tests() {
    let Some(python) = skip::python("the_python_package_passes_its_own_tests") else { return };
    pytest(&python, &["--ignore=test_parity.py"]);
}

#[test]
fn models_written_in_pytorch_score_and_learn_as_ours_do() {
    let Some(python) = skip::torch("models_written_in_pytorch_score_and_learn_as_ours_do") else { return };
    pytest(&python, &["test_parity.py"]);
}

fn pytest(python: &Path, arguments: &[&str]) {
    let package = package();
    let output = Command::new(python)
        .args(["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=5"])
        .args(arguments)
        .current_dir(root().join("tests/python"))
        .env("PYTHONPATH", package.path())
        .env("HINET_PROGRAM", env!("CARGO_BIN_EXE_hinet"))
        .output()
        .expect("Python starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(" passed"), "{said}");
    println!("{said}");
}

/// The package with the module in it, as a wheel would put them.
fn package() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let package = folder.path().join("hinet");
    fs_err::create_dir(&package).expect("a new folder");
    for entry in fs_err::read_dir(root().join("crates/py/python/hinet")).expect("a readable folder") {
        let entry = entry.expect("an entry");
        if entry.path().is_file() {
            fs_err::copy(entry.path(), package.join(entry.file_name())).expect("a copy");
        }
    }
    // Cargo puts it beside the tests of the packages that ask for it, which this one does.
    let test = std::env::current_exe().expect("the path of this test");
    let module = test.with_file_name(format!("{DLL_PREFIX}_hinet{DLL_SUFFIX}"));
    fs_err::copy(module, package.join(MODULE)).expect("the module that cargo built");
    folder
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
