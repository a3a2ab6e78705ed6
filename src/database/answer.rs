//! Connecting within bounded time: the driver waits for ever for a server that takes a connection and
//! then says nothing.

use std::io;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use postgres::Client;

use super::DatabaseError;
use crate::settings::Postgres;

/// A server that has not answered by then is given up.
const ANSWER: Duration = Duration::from_secs(20);
/// How often one looks meanwhile whether to go on.
const LOOK: Duration = Duration::from_millis(100);

/// Opens a connection as [`super::connect`] does, as long as `go_on` has no error.
///
/// # Errors
/// As for [`super::connect`], and those of `go_on`.
pub fn connect_while<E: From<DatabaseError>>(
    settings: &Postgres,
    go_on: impl Fn() -> Result<(), E>,
) -> Result<Client, E> {
    let silent = |source: io::Error| DatabaseError::Connect {
        server: format!("{}:{}", settings.host, settings.port),
        source: source.into(),
    };
    let (sender, answer) = crossbeam_channel::bounded(1);
    let of_thread = settings.clone();
    std::thread::Builder::new()
        .name("connect".to_owned())
        // Nobody may be waiting for the answer any more.
        .spawn(move || drop(sender.send(super::open(&of_thread))))
        .map_err(silent)?;
    let until = Instant::now() + ANSWER;
    loop {
        match answer.recv_timeout(LOOK) {
            Ok(client) => return Ok(client?),
            Err(RecvTimeoutError::Timeout) if Instant::now() < until => go_on()?,
            Err(_) => {
                let why = format!("it gave no answer within {} s", ANSWER.as_secs());
                return Err(silent(io::Error::new(io::ErrorKind::TimedOut, why)).into());
            }
        }
    }
}
