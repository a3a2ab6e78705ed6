//! SIGTERM and SIGINT: the first ends the run in good order, the second at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// A flag that the first signal sets.
pub fn cancelled() -> Result<Arc<AtomicBool>> {
    let cancelled = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the first signal finds the flag unset and sets it.
        flag::register_conditional_default(signal, cancelled.clone())
            .and_then(|_| flag::register(signal, cancelled.clone()))
            .context("cannot listen for signals")?;
    }
    Ok(cancelled)
}
