//! Days that failed in passing, made ready to be done again.

use std::sync::Arc;

use chrono::NaiveDate;

use super::{Connections, PostgresError, PostgresSink, check};
use crate::database::{self, Backoff, Passing};

/// How a sink comes by another connection, and how long it has been trying.
pub(super) struct Recovery {
    connections: Arc<Connections>,
    /// Since the first failure of the day.
    backoff: Option<Backoff>,
    /// The day that failed.
    date: Option<NaiveDate>,
}

impl Recovery {
    pub fn new(connections: Arc<Connections>) -> Self {
        Recovery { connections, backoff: None, date: None }
    }

    /// The next day has all the time again.
    pub fn day_done(&mut self) {
        self.backoff = None;
    }

    /// Remembers which day is being written, for messages.
    pub fn day_begun(&mut self, date: NaiveDate) {
        self.date = Some(date);
    }
}

impl PostgresSink {
    /// Waits, and connects anew where the connection is lost; the day was rolled back before.
    pub(super) fn recover_from(&mut self, failed: PostgresError) -> Result<Passing, PostgresError> {
        let (Some(passing), Some(recovery)) = (failed.passing(), &mut self.recovery) else {
            return Err(failed);
        };
        let Some(date) = recovery.date else { return Err(failed) };
        let retry_for = recovery.connections.settings().session.retry_for;
        let mut backoff = recovery.backoff.take().unwrap_or_else(|| Backoff::new(retry_for));
        let mut failed = failed;
        loop {
            if !backoff.sleep(&self.shared.interrupted) {
                check(&self.shared.interrupted, date)?;
                return Err(match backoff.tries() {
                    0 => failed,
                    tries => {
                        let (tried_for, source) = (backoff.elapsed(), Box::new(failed));
                        PostgresError::GaveUp { date, tries, tried_for, source }
                    }
                });
            }
            let cause = causes(&failed);
            let tries = backoff.tries();
            tracing::warn!(%date, tries, "{passing}: doing {date} again: {cause}");
            if passing != Passing::LostConnection
                && self.client.as_ref().is_some_and(|client| !client.is_closed())
            {
                break;
            }
            match self.connect_again(date) {
                Ok(()) => break,
                Err(error) if error.is_absence() => failed = error,
                Err(error) => return Err(error),
            }
        }
        if let Some(recovery) = &mut self.recovery {
            recovery.backoff = Some(backoff);
        }
        Ok(passing)
    }

    fn connect_again(&mut self, date: NaiveDate) -> Result<(), PostgresError> {
        let Some(recovery) = &mut self.recovery else { return Ok(()) };
        let settings = recovery.connections.settings();
        let go_on = || check(&self.shared.interrupted, date);
        let client = database::connect_while(settings, go_on)?;
        recovery.connections.watch(&client);
        self.use_connection(client)
    }
}

/// An error with all its causes in one line.
fn causes(error: &PostgresError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
