//! What makes the Parquet library panic is an error here, and nobody sees a panic; other panics are seen as ever.

use std::panic::{catch_unwind, set_hook};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use hinet_data::{DataError, Order, Seed, Source, SynthConfig, write_synth};

static SEEN: AtomicUsize = AtomicUsize::new(0);

fn read(path: &Path) -> Result<(), DataError> {
    let source = Source::open(&[path.to_owned()])?;
    let columns: Vec<String> = source.schema().fields().iter().map(|field| field.name().clone()).collect();
    source.read(&columns, Order::InFile)?.try_for_each(|rows| rows.map(|_| ()))
}

// One test: the hook is the process's.
#[test]
fn damage_that_makes_the_parquet_library_panic_is_an_error_and_the_hook_hears_of_other_panics_only() {
    set_hook(Box::new(|_| {
        SEEN.fetch_add(1, Ordering::Relaxed);
    }));
    let folder = tempfile::tempdir().unwrap();
    let config = SynthConfig { train_rows: 300, valid_rows: 10, test_rows: 10, ..SynthConfig::default() };
    write_synth(&config, folder.path(), &mut |_| {}).unwrap();
    let whole = std::fs::read(folder.path().join("train.parquet")).unwrap();
    let path = folder.path().join("damaged.parquet");
    let draw = |purpose: &str, round: u64| Seed(1).stream(purpose, round);
    let mut caught = 0;
    for round in 0..3000 {
        let mut bytes = whole.clone();
        let at = (draw("place", round) % (bytes.len() as u64 - 3)) as usize;
        bytes[at..at + 3].copy_from_slice(&draw("bytes", round).to_le_bytes()[..3]);
        std::fs::write(&path, &bytes).unwrap();
        let told = read(&path).err().map_or_else(String::new, |error| error.to_string());
        caught += usize::from(told.contains("its content is damaged"));
    }
    assert!(caught > 0, "nothing made the library panic: this test has lost its point");
    assert_eq!(SEEN.load(Ordering::Relaxed), 0, "of {caught}");
    catch_unwind(|| panic!("of our own")).unwrap_err();
    assert_eq!(SEEN.load(Ordering::Relaxed), 1);
}
