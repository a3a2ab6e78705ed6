//! Settings of the PostgreSQL connection.

use std::path::PathBuf;

use super::error::SettingsError;
use super::keys::{self, Key};
use super::sources::Sources;
use super::values::{choice, duration, identifier, port, time_or_off};
use super::{Postgres, Secret, Session, SslMode};

/// How to reach PostgreSQL. Without a schema the org id is taken for it.
///
/// Where the database is not `used`, a missing schema and unset variables of the file are no
/// errors: the file may well be one that also serves runs that use it.
pub(crate) fn settle(sources: &mut Sources<'_>, used: bool) -> Result<Postgres, SettingsError> {
    let mut read = |key: &Key| match sources.read(key) {
        Err(SettingsError::UnsetVariable { .. }) if !used => Ok(None),
        result => result,
    };
    let text = |raw: Option<super::sources::Raw>| raw.map(|raw| raw.text);

    let host = text(read(&keys::DB_HOST)?).unwrap_or_else(|| "localhost".to_owned());
    let port = read(&keys::DB_PORT)?.map(|raw| port(&raw)).transpose()?.unwrap_or(5432);
    let database = text(read(&keys::DB_NAME)?).unwrap_or_else(|| "koku".to_owned());
    let user = text(read(&keys::DB_USER)?).unwrap_or_else(|| "koku".to_owned());
    let password = text(read(&keys::DB_PASSWORD)?).map(Secret);
    let sslmode = read(&keys::DB_SSLMODE)?.map(|raw| choice(&raw, MODES)).transpose()?;
    let sslrootcert = text(read(&keys::DB_SSLROOTCERT)?).map(PathBuf::from);
    let usual = Session::default();
    let session = Session {
        application_name: text(read(&keys::DB_APPLICATION_NAME)?).unwrap_or(usual.application_name),
        statement_timeout: read(&keys::DB_STATEMENT_TIMEOUT)?
            .map(|raw| time_or_off(&raw))
            .transpose()?,
        lock_timeout: read(&keys::DB_LOCK_TIMEOUT)?.map(|raw| time_or_off(&raw)).transpose()?,
        lock_wait: read(&keys::DB_LOCK_WAIT)?
            .map(|raw| duration(&raw))
            .transpose()?
            .unwrap_or(usual.lock_wait),
        retry_for: read(&keys::DB_RETRY_FOR)?
            .map(|raw| time_or_off(&raw))
            .transpose()?
            .unwrap_or(usual.retry_for),
    };
    let named = match read(&keys::DB_SCHEMA)? {
        Some(raw) => Some(raw),
        None => read(&keys::ORG_ID)?,
    };
    let schema = match named {
        Some(raw) if used => identifier(&raw)?,
        Some(raw) => raw.text,
        None if used => {
            return Err(SettingsError::Missing {
                what: "schema of the tenant",
                ways: keys::DB_SCHEMA.ways(),
            });
        }
        None => String::new(),
    };
    Ok(Postgres {
        host,
        port,
        database,
        user,
        password,
        schema,
        sslmode: sslmode.unwrap_or(SslMode::Prefer),
        sslrootcert,
        session,
    })
}

const MODES: &[(&str, SslMode)] = &[
    ("disable", SslMode::Disable),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];
