//! Ending what the server is doing for a connection, from another thread.

use std::sync::{Arc, Mutex, PoisonError};

use postgres::{CancelToken, Client};

use super::{DatabaseError, tls};
use crate::settings::Postgres;

/// Ends the statement that a connection waits for, if any; the connection stays. Clones share the
/// connection.
#[derive(Clone)]
pub struct Canceller {
    token: Arc<Mutex<CancelToken>>,
    settings: Arc<Postgres>,
}

impl Canceller {
    pub fn of(client: &Client, settings: &Postgres) -> Self {
        let token = Arc::new(Mutex::new(client.cancel_token()));
        Canceller { token, settings: Arc::new(settings.clone()) }
    }

    /// Goes over to the connection that stands in for a lost one.
    pub fn follow(&self, client: &Client) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = client.cancel_token();
    }

    /// Asks the server. A request that comes between two statements ends neither.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub fn cancel(&self) -> Result<(), DatabaseError> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        token
            .cancel_query(tls::connector(&self.settings)?)
            .map_err(|source| DatabaseError::connecting(&self.settings, source))
    }
}
