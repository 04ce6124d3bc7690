//! How fast files are read, and in how much memory: `cargo run --release -p hinet-data --example read -- FILES`.
//!
//! Reads every column of every row on one thread and prints rows per second and, on Linux, the largest resident memory.

use std::path::PathBuf;
use std::time::Instant;

use hinet_data::{DataError, Order, Source};

fn main() -> Result<(), DataError> {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let opening = Instant::now();
    let source = Source::open(&paths)?;
    let columns: Vec<String> = source.schema().fields().iter().map(|field| field.name().clone()).collect();
    println!("{} files opened in {:.2?}, {} columns", source.files().len(), opening.elapsed(), columns.len());
    let reading = Instant::now();
    let mut count = 0;
    for rows in source.read(&columns, Order::InFile)? {
        count += rows?.len();
    }
    let seconds = reading.elapsed().as_secs_f64();
    println!("{count} rows in {seconds:.2} s: {:.0} rows/s", count as f64 / seconds);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
        println!("largest resident memory {}", peak.trim());
    }
    Ok(())
}
