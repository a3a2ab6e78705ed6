//! Connections to PostgreSQL, and what every user of one needs: quoting and errors by cause.

use std::time::Duration;

use postgres::config::SslMode as Negotiation;
use postgres::{Client, Config};

use crate::settings::{Postgres, Session, SslMode};

mod answer;
mod cancel;
mod error;
pub(crate) mod lock;
mod retry;
mod tls;

pub use answer::connect_while;
pub use cancel::Canceller;
pub use error::{Cause, DatabaseError};
pub use retry::{Backoff, Passing};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// A peer that vanished without a word is given up after about two minutes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 6;
/// The same where something was sent to it that it does not acknowledge.
const UNACKNOWLEDGED: Duration = Duration::from_secs(120);

/// Opens a connection and makes sure that the tenant schema is there.
///
/// # Errors
/// By cause: unreachable host, wrong or missing password, missing database or schema, TLS refused
/// or failed, unreadable root certificates, no answer for long. No message holds the password.
pub fn connect(settings: &Postgres) -> Result<Client, DatabaseError> {
    connect_while(settings, || Ok(()))
}

fn open(settings: &Postgres) -> Result<Client, DatabaseError> {
    let mut config = Config::new();
    config
        .host(&settings.host)
        .port(settings.port)
        .dbname(&settings.database)
        .user(&settings.user)
        .application_name(&settings.session.application_name)
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES)
        .tcp_user_timeout(UNACKNOWLEDGED)
        .ssl_mode(negotiation(settings))
        .notice_callback(|notice| tracing::debug!("PostgreSQL: {notice}"));
    if let Some(password) = &settings.password {
        config.password(&password.0);
    }
    let mut client = config
        .connect(tls::connector(settings)?)
        .map_err(|source| DatabaseError::connecting(settings, source))?;
    limit_statements(&mut client, &settings.session)?;
    require_schema(&mut client, &settings.schema)?;
    Ok(client)
}

/// By statements rather than at the start of the session, whose parameters poolers filter.
fn limit_statements(client: &mut Client, session: &Session) -> Result<(), DatabaseError> {
    let limits =
        [("statement_timeout", session.statement_timeout), ("lock_timeout", session.lock_timeout)];
    let set: String = limits
        .into_iter()
        .filter_map(|(name, time)| Some(format!("SET {name} TO {};", milliseconds(time?))))
        .collect();
    if set.is_empty() {
        return Ok(());
    }
    client
        .batch_execute(&set)
        .map_err(|source| DatabaseError::querying("setting the timeouts of the session", source))
}

/// As PostgreSQL takes a time; what is above zero stays so, since zero is no limit.
fn milliseconds(time: Duration) -> String {
    let whole = time.as_millis();
    if whole == 0 && !time.is_zero() { "1".to_owned() } else { whole.to_string() }
}

fn negotiation(settings: &Postgres) -> Negotiation {
    // As in libpq, a Unix socket is never encrypted.
    if settings.host.starts_with('/') {
        return Negotiation::Disable;
    }
    match settings.sslmode {
        SslMode::Disable => Negotiation::Disable,
        SslMode::Prefer => Negotiation::Prefer,
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Negotiation::Require,
    }
}

fn require_schema(client: &mut Client, schema: &str) -> Result<(), DatabaseError> {
    let found = client
        .query_opt("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", &[&schema])
        .map_err(|source| DatabaseError::querying("looking for the schema", source))?;
    match found {
        Some(_) => Ok(()),
        None => Err(DatabaseError::NoSuchSchema { schema: schema.to_owned() }),
    }
}

/// An identifier as SQL text: quoted always, so that upper case, spaces and quotes survive.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `schema.relation` as SQL text.
pub fn qualify(schema: &str, relation: &str) -> String {
    format!("{}.{}", quote_identifier(schema), quote_identifier(relation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_becomes_no_limit() {
        assert_eq!(milliseconds(Duration::from_micros(1)), "1");
        assert_eq!(milliseconds(Duration::from_secs(2)), "2000");
        assert_eq!(milliseconds(Duration::ZERO), "0");
    }

    #[test]
    fn an_identifier_cannot_leave_its_quotes() {
        assert_eq!(quote_identifier(r#"we"ird Schema"#), r#""we""ird Schema""#);
        assert_eq!(qualify("Org", "t"), r#""Org"."t""#);
    }
}
