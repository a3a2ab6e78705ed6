//! SIGTERM and SIGINT: the first ends the run in good order, the second at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::{exit, output};
use crate::sink::file;

/// How soon a signal is noticed, and how often [`Hurry`] is called after one.
const LOOK: Duration = Duration::from_millis(200);

/// How long a run may take to end by itself after a signal: what is computed at one go, as the order
/// of the rows of a large day, cannot be broken off.
const GRACE: Duration = Duration::from_secs(4);

/// Ends whatever keeps the run waiting; called again and again until the run is over.
pub type Hurry = Box<dyn Fn() + Send>;

/// Listens for signals.
pub struct Signals {
    cancelled: Arc<AtomicBool>,
    stage: Arc<Mutex<Stage>>,
}

enum Stage {
    /// Nothing is written and nothing to be cleaned up: the process may just end, whatever it
    /// waits for.
    Preparing,
    /// The run notices by itself, but may have to be freed from waiting.
    Writing(Option<Hurry>),
}

impl Signals {
    /// # Errors
    /// The system refuses to hand over the signals, or a thread.
    pub fn listen() -> Result<Self> {
        let cancelled = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the first signal finds the flag unset and sets it.
            flag::register_conditional_default(signal, cancelled.clone())
                .and_then(|_| flag::register(signal, cancelled.clone()))
                .context("cannot listen for signals")?;
        }
        let stage = Arc::new(Mutex::new(Stage::Preparing));
        let signals = Signals { cancelled: cancelled.clone(), stage: stage.clone() };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || watch(&cancelled, &stage))
            .context("cannot start a thread that watches for signals")?;
        Ok(signals)
    }

    /// Set by the first signal.
    pub fn cancelled(&self) -> &Arc<AtomicBool> {
        &self.cancelled
    }

    /// To be called before the first thing that must not be left half done. With a `hurry`, what is
    /// done may be broken off if it does not end soon: output files are removed, transactions end.
    pub fn begin_writing(&self, hurry: Option<Hurry>) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = Stage::Writing(hurry);
    }
}

#[expect(clippy::exit, reason = "whatever the main thread waits for may never come")]
fn end() -> ! {
    std::process::exit(i32::from(exit::INTERRUPTED))
}

fn watch(cancelled: &AtomicBool, stage: &Mutex<Stage>) {
    let mut since = None;
    loop {
        std::thread::sleep(LOOK);
        if !cancelled.load(Ordering::Relaxed) {
            continue;
        }
        let since = *since.get_or_insert_with(Instant::now);
        // Held until the process has ended, so that no writing begins meanwhile.
        match &*stage.lock().unwrap_or_else(PoisonError::into_inner) {
            Stage::Preparing => {
                output::error("interrupted before anything was written");
                end();
            }
            Stage::Writing(Some(_)) if since.elapsed() > GRACE => {
                // A database rolls back by itself what is not committed.
                let _no_file_appears = file::remove_pending();
                output::error("interrupted: the day or file in progress was dropped");
                end();
            }
            Stage::Writing(Some(hurry)) => hurry(),
            Stage::Writing(None) => return,
        }
    }
}
