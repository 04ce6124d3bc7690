//! The book's chapter on Python, run block by block where the package is installed.

use std::process::Command;

use super::book::{blocks, pages};
use super::skip;

/// Runs the blocks in one namespace. Those that want a tracker or a searcher which is not there are passed over.
const DRIVER: &str = r"
import json
names = {}
for number, block in enumerate(json.load(open('blocks.json')), 1):
    try:
        exec(compile(block, f'block {number}', 'exec'), names)
    except ModuleNotFoundError as error:
        if error.name not in ('mlflow', 'optuna'):
            raise
";

/// Its means are called `wheel` in `HINET_TEST_REQUIRE`: a Python that has the package `hinet`, and pandas.
#[test]
fn the_blocks_of_the_chapter_on_python_run_in_order() {
    const TEST: &str = "the_blocks_of_the_chapter_on_python_run_in_order";
    let Some(python) = skip::python(TEST) else { return };
    let found = Command::new(&python).args(["-c", "import hinet, pandas, pyarrow"]).output().expect("Python starts");
    if !found.status.success() {
        skip::skip(TEST, "wheel", "install the package hinet, pandas and pyarrow into the Python of HINET_TEST_PYTHON");
        return;
    }
    let chapter = pages("en").into_iter().find(|page| page.name == "python.md").expect("the chapter");
    let blocks: Vec<String> =
        blocks(&chapter.text).into_iter().filter(|block| block.language == "python").map(|block| block.text).collect();
    assert!(blocks.len() > 8, "only {} blocks", blocks.len());
    let place = tempfile::tempdir().expect("a temporary folder");
    fs_err::write(place.path().join("blocks.json"), serde_json::to_string(&blocks).expect("texts as JSON"))
        .expect("a writable temporary folder");
    let output = Command::new(&python).args(["-c", DRIVER]).current_dir(place.path()).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
