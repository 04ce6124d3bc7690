//! Ctrl-C: the first one asks the run to stop cleanly, the second one ends the program.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// The flag that turns true at the first Ctrl-C (or SIGTERM) from now on.
pub(crate) fn stop_flag() -> anyhow::Result<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(crate::EXIT_INTERRUPTED.into());
        }
        let _ = writeln!(std::io::stderr(), "\nstopping at the next step; once more to stop without a checkpoint");
    })?;
    Ok(&STOP)
}
