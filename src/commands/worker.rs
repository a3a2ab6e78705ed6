//! `worker`: a part of `run --processes`, not for use by hand.

use std::io::{self, BufReader};
use std::os::fd::AsFd;

use anyhow::{Context, Result, bail};

use super::{exit, logging};
use crate::pipeline::RunError;
use crate::process::orders::{self, Hello, Order};
use crate::process::worker::{self, Failure};
use crate::settings::{LogFormat, Logging};
use crate::store::StoreError;

/// Takes orders from standard input until it ends, and answers on standard output.
pub fn run() -> Result<u8> {
    let mut input = BufReader::new(io::stdin());
    let hello = "standard input is no coordinator: this command is a part of `run --processes`";
    let Some(hello) = orders::receive::<Hello>(&mut input).context(hello)? else { bail!(hello) };
    worker::die_with(hello.parent).context("the coordinator is gone")?;
    worker::die_first();
    logging::start(&Logging { level: hello.log_level.clone(), format: LogFormat::Json });
    let (sender, orders) = std::sync::mpsc::channel();
    std::thread::Builder::new()
        .name("orders".to_owned())
        .spawn(move || {
            while let Ok(Some(order)) = orders::receive::<Order>(&mut input) {
                if sender.send(order).is_err() {
                    break;
                }
            }
            end();
        })
        .context("cannot start a thread for orders")?;
    // Not through the buffer of lines that standard output has.
    let out = io::stdout().as_fd().try_clone_to_owned().context("there is no standard output")?;
    let out = io::BufWriter::with_capacity(256 * 1024, std::fs::File::from(out));
    worker::serve(&hello, &orders, out, &explain)?;
    Ok(exit::DONE)
}

/// No more orders: the run is over, or the coordinator is dead. Whatever is under way is for no one.
#[expect(clippy::exit, reason = "work under way must not keep a worker that no one waits for")]
fn end() -> ! {
    std::process::exit(i32::from(exit::DONE))
}

/// How the run would have failed in one process.
fn explain(error: RunError) -> Failure {
    let error = anyhow::Error::from(error);
    let moved = exit::store_error(&error).and_then(|error| match error {
        StoreError::Changed { path } => Some((path.to_string(), false)),
        StoreError::Vanished { path } => Some((path.to_string(), true)),
        _ => None,
    });
    Failure { message: format!("{error:#}"), code: exit::code(&error), moved }
}
