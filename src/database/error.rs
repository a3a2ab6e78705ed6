//! Database errors by cause, each with what to do about it.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveDate;
use postgres::error::SqlState;
use uuid::Uuid;

use super::Passing;
use crate::settings::{Postgres, SslMode};

/// What lies beneath a [`DatabaseError`].
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why PostgreSQL could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    #[error(
        "cannot reach PostgreSQL at {server}: check host and port (DATABASE_SERVICE_HOST, \
         DATABASE_SERVICE_PORT) and that the server accepts connections from here"
    )]
    Unreachable { server: String, source: Cause },
    #[error(
        "PostgreSQL at {server} does not accept the password of user `{user}`: check \
         DATABASE_USER and DATABASE_PASSWORD"
    )]
    WrongPassword { server: String, user: String, source: Cause },
    #[error(
        "PostgreSQL at {server} asks for a password of user `{user}` and none is given: set \
         DATABASE_PASSWORD"
    )]
    PasswordMissing { server: String, user: String },
    #[error("PostgreSQL at {server} has no database `{database}`: check DATABASE_NAME")]
    NoSuchDatabase { server: String, database: String, source: Cause },
    #[error(
        "PostgreSQL at {server} does not admit user `{user}` to database `{database}` over this \
         kind of connection: check the user, sslmode and the server's pg_hba.conf"
    )]
    NotAdmitted { server: String, user: String, database: String, source: Cause },
    #[error(
        "PostgreSQL at {server} does not offer TLS, which this sslmode demands: turn TLS on in the \
         server, or set sslmode to `prefer` or `disable` if the network is trusted"
    )]
    TlsNotOffered { server: String, source: Cause },
    #[error(
        "the certificate of PostgreSQL at {server} is not for that host name: connect by a name in \
         the certificate, or set sslmode to `verify-ca` to check only who signed it"
    )]
    WrongHostName { server: String, source: Cause },
    #[error(
        "the certificate of PostgreSQL at {server} is not trusted: point sslrootcert to the \
         certificate of the authority that signed it"
    )]
    Untrusted { server: String, source: Cause },
    #[error(
        "the TLS handshake with PostgreSQL at {server} failed: check sslmode and the server's TLS"
    )]
    TlsFailed { server: String, source: Cause },
    #[error("cannot read root certificates (PEM) from {path}: check sslrootcert")]
    RootCertificate { path: PathBuf, source: Cause },
    #[error("{path} holds no PEM certificate: point sslrootcert to a file that does")]
    NoRootCertificate { path: PathBuf },
    #[error(
        "this system has no trusted root certificates to check PostgreSQL's certificate with: set \
         sslrootcert to a PEM file"
    )]
    NoNativeRoots,
    #[error("cannot set up TLS")]
    TlsSetup { source: Cause },
    #[error(
        "PostgreSQL at {server} has no connection left for user `{user}`: give fewer --connections, or \
         raise the limit of the server, the database or the user"
    )]
    NoConnectionLeft { server: String, user: String, source: Cause },
    #[error("cannot connect to PostgreSQL at {server}")]
    Connect { server: String, source: Cause },
    #[error(
        "the database has no schema `{schema}`: check the schema (POSTGRES_SCHEMA), which is the \
         tenant's, such as org1234567"
    )]
    NoSuchSchema { schema: String },
    #[error("lost the connection to PostgreSQL while {step}: run again, finished days are kept")]
    ConnectionLost { step: String, source: Cause },
    #[error("the database is read-only, so {step} is not possible: connect to the primary server")]
    ReadOnly { step: String, source: Cause },
    #[error("the database user lacks a privilege for {step}: have it granted, or use another user")]
    Privilege { step: String, source: Cause },
    #[error("a table is missing for {step}: check that the schema is a tenant's and migrated")]
    NoSuchTable { step: String, source: Cause },
    #[error(
        "PostgreSQL cancelled {step}: a statement timeout ran out or an administrator ended it; \
         raise --db-statement-timeout (or that of this user in the server) if that was it, and run \
         again"
    )]
    Cancelled { step: String, source: Cause },
    #[error(
        "waited {} s for another writer of {date} of source {source_uuid}, which still has it \
         ({holders}): let it finish, end it with pg_terminate_backend(pid), or wait longer with \
         --db-lock-wait",
        waited.as_secs_f64()
    )]
    Locked { source_uuid: Uuid, date: NaiveDate, waited: Duration, holders: String },
    #[error("PostgreSQL broke a deadlock by refusing {step}: run again")]
    Deadlock { step: String, source: Cause },
    #[error("PostgreSQL cannot serialize {step} with what others wrote: run again")]
    Serialization { step: String, source: Cause },
    #[error(
        "a lock for {step} was not free within lock_timeout: see pg_locks for who has it, or raise \
         --db-lock-timeout"
    )]
    LockTimeout { step: String, source: Cause },
    #[error(
        "gave up after {tries} more tries in {} s, before the first day: see that the server is \
         well, or let it take longer with --db-retry-for",
        tried_for.as_secs()
    )]
    GaveUp { tries: u32, tried_for: Duration, source: Cause },
    #[error("PostgreSQL refused {step}")]
    Query { step: String, source: Cause },
}

impl DatabaseError {
    /// Names the cause of a failed connection attempt.
    pub(super) fn connecting(settings: &Postgres, error: postgres::Error) -> Self {
        let server = format!("{}:{}", settings.host, settings.port);
        let user = settings.user.clone();
        let database = settings.database.clone();
        let code = error.code().cloned();
        if let Some(code) = code {
            let source = cause(error);
            return match code {
                SqlState::INVALID_PASSWORD => Self::WrongPassword { server, user, source },
                SqlState::INVALID_CATALOG_NAME => Self::NoSuchDatabase { server, database, source },
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                    Self::NotAdmitted { server, user, database, source }
                }
                SqlState::TOO_MANY_CONNECTIONS => Self::NoConnectionLeft { server, user, source },
                // It starts or shuts down.
                SqlState::CANNOT_CONNECT_NOW => {
                    let step = format!("connecting to {server}");
                    Self::ConnectionLost { step, source }
                }
                _ => Self::Connect { server, source },
            };
        }
        if let Some(tls) = find::<rustls::Error>(&error) {
            use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
            return match tls {
                rustls::Error::InvalidCertificate(
                    NotValidForName | NotValidForNameContext { .. },
                ) => Self::WrongHostName { server, source: cause(error) },
                rustls::Error::InvalidCertificate(_) => {
                    Self::Untrusted { server, source: cause(error) }
                }
                _ => Self::TlsFailed { server, source: cause(error) },
            };
        }
        // The driver keeps its kinds private; these texts are its own, and tests pin them.
        match error.to_string().as_str() {
            // Taken, and then closed without a word: the server, or what stands before it, goes down.
            "connection closed" | "error communicating with the server" => {
                let step = format!("connecting to {server}");
                Self::ConnectionLost { step, source: cause(error) }
            }
            "error performing TLS handshake" => match settings.sslmode {
                SslMode::Disable | SslMode::Prefer => {
                    Self::TlsFailed { server, source: cause(error) }
                }
                _ => Self::TlsNotOffered { server, source: cause(error) },
            },
            "error connecting to server" => Self::Unreachable { server, source: cause(error) },
            "invalid configuration" if settings.password.is_none() => {
                Self::PasswordMissing { server, user }
            }
            _ => Self::Connect { server, source: cause(error) },
        }
    }

    /// Names the cause of a failed statement; `step` completes "… while" or "… refused", such as
    /// "deleting the rows of 2025-10-01".
    pub(crate) fn querying(step: impl Into<String>, error: postgres::Error) -> Self {
        let step = step.into();
        let lost = error.is_closed()
            || (error.as_db_error().is_none() && find::<std::io::Error>(&error).is_some());
        let code = error.code().cloned();
        let source = cause(error);
        if lost {
            return Self::ConnectionLost { step, source };
        }
        match code {
            Some(SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN) => {
                Self::ConnectionLost { step, source }
            }
            Some(SqlState::T_R_DEADLOCK_DETECTED) => Self::Deadlock { step, source },
            Some(SqlState::T_R_SERIALIZATION_FAILURE) => Self::Serialization { step, source },
            Some(SqlState::LOCK_NOT_AVAILABLE) => Self::LockTimeout { step, source },
            Some(SqlState::QUERY_CANCELED) => Self::Cancelled { step, source },
            Some(SqlState::READ_ONLY_SQL_TRANSACTION) => Self::ReadOnly { step, source },
            Some(SqlState::INSUFFICIENT_PRIVILEGE) => Self::Privilege { step, source },
            Some(SqlState::UNDEFINED_TABLE) => Self::NoSuchTable { step, source },
            _ => Self::Query { step, source },
        }
    }

    /// Why the same may succeed when it is done again; `None` if it will fail again.
    pub fn passing(&self) -> Option<Passing> {
        match self {
            Self::Deadlock { .. } => Some(Passing::Deadlock),
            Self::Serialization { .. } => Some(Passing::SerializationFailure),
            Self::ConnectionLost { .. } => Some(Passing::LostConnection),
            _ => None,
        }
    }

    /// Whether a server that answered before is away for now: it restarts, or the network is
    /// down. A server that answers with a refusal is not.
    pub fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::NoConnectionLeft { .. }
                | Self::Connect { .. }
                | Self::ConnectionLost { .. }
                | Self::TlsNotOffered { .. }
                | Self::TlsFailed { .. }
        )
    }
}

/// What the server said, without the driver's "db error" around it.
fn cause(error: postgres::Error) -> Cause {
    match error.as_db_error() {
        Some(said) => Box::new(said.clone()),
        None => Box::new(error),
    }
}

/// Finds an error of type `E` beneath `error`, also inside I/O errors, which hide what they wrap
/// from `source`.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = match error.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref()) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
