//! The arithmetic of `make bench-peers`, which is Python: medians, ratios, the table, and what becomes of a peer that fails.

use std::path::Path;
use std::process::Command;

#[path = "../../../tests/support/skip.rs"]
mod skip;

#[test]
fn ratios_and_tables_of_bench_peers_are_right_and_a_peer_that_fails_costs_the_others_nothing() {
    let name = "ratios_and_tables_of_bench_peers_are_right_and_a_peer_that_fails_costs_the_others_nothing";
    let Some(python) = skip::python(name) else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/peers");
    let output = Command::new(python)
        .args(["-B", "-m", "unittest", "discover", "--start-directory"])
        .arg(folder)
        .output()
        .expect("Python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("Ran 0 tests"), "{said}");
}
