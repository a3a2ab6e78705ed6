//! The database before the first day: what is read and made there is done again where it fails in
//! passing, as the days themselves are.

use std::sync::atomic::AtomicBool;

use anyhow::{Error, Result};
use postgres::Client;

use crate::database::{self, Backoff, DatabaseError};
use crate::ledger::LedgerError;
use crate::lookups::LookupsError;
use crate::lookups::periods::PeriodError;
use crate::settings::Postgres;
use crate::sink::SinkError;
use crate::sink::postgres::PostgresError;
use crate::telemetry::{Figure, Telemetry};

/// A connection for the steps before the first day.
pub struct Preparation<'a> {
    settings: &'a Postgres,
    telemetry: &'a Telemetry,
    /// Opened for the first step.
    client: Option<Client>,
    /// A server that never did is more often one of another address than one that is away.
    has_answered: bool,
}

impl<'a> Preparation<'a> {
    /// Counts in `telemetry` what is done again.
    pub fn new(settings: &'a Postgres, telemetry: &'a Telemetry) -> Self {
        Preparation { settings, telemetry, client: None, has_answered: false }
    }

    /// Does a step, which leaves nothing half done when it fails.
    ///
    /// # Errors
    /// A server that cannot be reached to begin with; those of the step that would come again, or
    /// still come when `--db-retry-for` is over.
    pub fn step<T>(&mut self, mut work: impl FnMut(&mut Client) -> Result<T>) -> Result<T> {
        let (client, done) = self.last_step(|mut client| {
            let done = work(&mut client)?;
            Ok((client, done))
        })?;
        self.client = Some(client);
        Ok(done)
    }

    /// The same for a step that keeps the connection.
    ///
    /// # Errors
    /// As for [`Preparation::step`].
    pub fn last_step<T>(&mut self, mut work: impl FnMut(Client) -> Result<T>) -> Result<T> {
        // A signal ends the process while there is nothing to be rolled back.
        let never = AtomicBool::new(false);
        let mut backoff = None;
        loop {
            let failed = match self.connected().and_then(&mut work) {
                Ok(done) => return Ok(done),
                Err(failed) => failed,
            };
            if !self.may_pass(&failed) {
                return Err(failed);
            }
            let retry_for = self.settings.session.retry_for;
            let backoff = backoff.get_or_insert_with(|| Backoff::new(retry_for));
            if !backoff.sleep(&never) {
                return Err(match backoff.tries() {
                    0 => failed,
                    tries => {
                        let (tried_for, source) = (backoff.elapsed(), failed.into());
                        DatabaseError::GaveUp { tries, tried_for, source }.into()
                    }
                });
            }
            let tries = backoff.tries();
            self.telemetry.add(Figure::RedonePreparations, 1);
            tracing::warn!(tries, "preparing again, before the first day: {failed:#}");
        }
    }

    /// The connection there is, if it is still one, else a new one.
    fn connected(&mut self) -> Result<Client> {
        if let Some(client) = self.client.take().filter(|client| !client.is_closed()) {
            return Ok(client);
        }
        let client = database::connect(self.settings)?;
        self.has_answered = true;
        Ok(client)
    }

    fn may_pass(&self, failed: &Error) -> bool {
        database_error(failed).is_some_and(|error| {
            error.passing().is_some() || self.has_answered && error.is_absence()
        })
    }
}

/// The database's error that made a step fail, if one did.
fn database_error(error: &Error) -> Option<&DatabaseError> {
    // Errors that only pass another one on hide it from the chain of causes.
    fn lookups(error: &LookupsError) -> Option<&DatabaseError> {
        if let LookupsError::Database(error) = error { Some(error) } else { None }
    }
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref() {
            return lookups(error);
        }
        if let Some(PeriodError::Lookups(error)) = cause.downcast_ref() {
            return lookups(error);
        }
        if let Some(LedgerError::Database(error)) = cause.downcast_ref() {
            return Some(error);
        }
        if let Some(SinkError::Postgres(PostgresError::Database(error))) = cause.downcast_ref() {
            return Some(error);
        }
        cause.downcast_ref()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_database_said_is_found_behind_whatever_passes_it_on() {
        let lost =
            || DatabaseError::ConnectionLost { step: "reading".to_owned(), source: "gone".into() };
        let lookups = || LookupsError::from(lost());
        let errors: [Error; 5] = [
            lost().into(),
            lookups().into(),
            PeriodError::from(lookups()).into(),
            LedgerError::from(lost()).into(),
            SinkError::from(PostgresError::from(lost())).into(),
        ];
        for error in errors {
            let found = database_error(&error).and_then(DatabaseError::passing);
            assert_eq!(found, Some(database::Passing::LostConnection), "{error:?}");
        }
        assert!(
            database_error(
                &LedgerError::NoPrivilege { table: "t".into(), privilege: "SELECT" }.into()
            )
            .is_none()
        );
    }
}
