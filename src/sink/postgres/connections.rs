//! The connections of one sink: opened when needed, kept for whoever needs one next, and all of
//! them freed from waiting when a run is interrupted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postgres::Client;

use crate::database::{self, Canceller, DatabaseError};
use crate::settings::Postgres;

/// Opens connections to one database.
pub struct Connections {
    settings: Arc<Postgres>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Client>,
    cancellers: Vec<Canceller>,
}

impl Connections {
    /// `first` is a connection that there is already.
    pub fn new(settings: &Postgres, first: Client) -> Self {
        let cancellers = vec![Canceller::of(&first, settings)];
        let state = Mutex::new(State { idle: vec![first], cancellers });
        Connections { settings: Arc::new(settings.clone()), state }
    }

    pub fn settings(&self) -> &Arc<Postgres> {
        &self.settings
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle connection, else a new one.
    pub fn take(&self) -> Result<Client, DatabaseError> {
        let idle = self.state().idle.pop();
        if let Some(client) = idle.filter(|client| !client.is_closed()) {
            return Ok(client);
        }
        let client = database::connect(&self.settings).map_err(lost_if_away)?;
        self.watch(&client);
        Ok(client)
    }

    /// Has [`Connections::cancel`] reach a connection that was opened elsewhere.
    pub fn watch(&self, client: &Client) {
        self.state().cancellers.push(Canceller::of(client, &self.settings));
    }

    /// Takes back a connection that is in no transaction.
    pub fn give_back(&self, client: Client) {
        self.state().idle.push(client);
    }

    /// Ends what any of the connections waits for; they stay open.
    pub fn cancel(&self) {
        for canceller in &self.state().cancellers {
            if let Err(error) = canceller.cancel() {
                tracing::debug!("cannot ask PostgreSQL to stop: {error}");
            }
        }
    }
}

/// The server answered before, so one that is away now has gone down and is worth waiting for.
fn lost_if_away(error: DatabaseError) -> DatabaseError {
    match error {
        lost @ DatabaseError::ConnectionLost { .. } => lost,
        away if away.is_absence() => {
            let step = "opening one more".to_owned();
            DatabaseError::ConnectionLost { step, source: Box::new(away) }
        }
        refused => refused,
    }
}
