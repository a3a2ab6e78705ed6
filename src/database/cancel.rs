//! Ending what the server is doing for a connection, from another thread.

use postgres::{CancelToken, Client};

use super::{DatabaseError, tls};
use crate::settings::Postgres;

/// Ends the statement that a connection waits for, if any; the connection stays.
pub struct Canceller {
    token: CancelToken,
    settings: Postgres,
}

impl Canceller {
    pub fn of(client: &Client, settings: &Postgres) -> Self {
        Canceller { token: client.cancel_token(), settings: settings.clone() }
    }

    /// Asks the server. A request that comes between two statements ends neither.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub fn cancel(&self) -> Result<(), DatabaseError> {
        self.token
            .cancel_query(tls::connector(&self.settings)?)
            .map_err(|source| DatabaseError::connecting(&self.settings, source))
    }
}
