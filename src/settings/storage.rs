//! Where the input lies, and how to reach it if that is S3.

use std::path::PathBuf;
use std::time::Duration;

use super::error::SettingsError;
use super::keys::{self, Key};
use super::sources::{Origin, Raw, Sources};
use super::values::{choice, duration, source, switch};
use super::{Addressing, S3, Secret};

const TIMEOUT: Duration = Duration::from_secs(30);
const RETRY_FOR: Duration = Duration::from_secs(180);

/// The source, and the S3 settings if it is there. A bucket alone means the whole bucket.
pub(crate) fn settle(sources: &mut Sources<'_>) -> Result<(String, Option<S3>), SettingsError> {
    let uri = match sources.parse(&keys::SOURCE, source)? {
        Some(uri) => uri,
        None => match sources.parse(&keys::S3_BUCKET, bucket)? {
            Some(bucket) => format!("s3://{bucket}"),
            None => {
                return Err(SettingsError::Missing {
                    what: "input (folder or bucket that holds `data/`)",
                    ways: format!(
                        "{}, or a bucket: {}",
                        keys::SOURCE.ways(),
                        keys::S3_BUCKET.ways()
                    ),
                });
            }
        },
    };
    let s3 = if uri.starts_with("s3://") { Some(s3(sources)?) } else { None };
    Ok((uri, s3))
}

fn bucket(raw: &Raw) -> Result<String, SettingsError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if raw.text.chars().all(good) {
        Ok(raw.text.clone())
    } else {
        Err(raw.invalid("the name of a bucket, without `s3://` and prefix"))
    }
}

pub(crate) fn s3(sources: &mut Sources<'_>) -> Result<S3, SettingsError> {
    let access_key = sources.read(&keys::S3_ACCESS_KEY)?;
    let secret_key = sources.read(&keys::S3_SECRET_KEY)?;
    match (&access_key, &secret_key) {
        (Some(access), None) => return Err(half(access, "secret key", &keys::S3_SECRET_KEY)),
        (None, Some(secret)) => return Err(half(secret, "access key", &keys::S3_ACCESS_KEY)),
        _ => {}
    }
    let token = sources.read(&keys::S3_SESSION_TOKEN)?;
    // A session token belongs to the keys it was issued with; beside others it only breaks them.
    let session_token = token
        .filter(|token| access_key.as_ref().is_some_and(|access| same_place(token, access)))
        .map(|token| Secret(token.text));
    let verify_ssl = sources.parse(&keys::S3_VERIFY_SSL, switch)?.unwrap_or(true);
    if !verify_ssl {
        sources.warnings.push(format!(
            "`{}` is off: the certificate of the object store is not checked; `{}` names \
             authorities to trust",
            keys::S3_VERIFY_SSL.path,
            keys::S3_CA_BUNDLE.path
        ));
    }
    Ok(S3 {
        endpoint: sources.parse(&keys::S3_ENDPOINT, endpoint)?,
        access_key: access_key.map(|raw| Secret(raw.text)),
        secret_key: secret_key.map(|raw| Secret(raw.text)),
        session_token,
        region: sources.text(&keys::S3_REGION)?.unwrap_or_else(|| "us-east-1".to_owned()),
        use_ssl: sources.parse(&keys::S3_USE_SSL, switch)?.unwrap_or(true),
        verify_ssl,
        ca_bundle: sources.text(&keys::S3_CA_BUNDLE)?.map(PathBuf::from),
        addressing: sources
            .parse(&keys::S3_ADDRESSING, |raw| {
                choice(raw, &[("path", Addressing::Path), ("virtual", Addressing::Virtual)])
            })?
            .unwrap_or(Addressing::Path),
        timeout: sources.parse(&keys::S3_TIMEOUT, duration)?.unwrap_or(TIMEOUT),
        retry_for: sources.parse(&keys::S3_RETRY_FOR, duration)?.unwrap_or(RETRY_FOR),
    })
}

fn half(present: &Raw, what: &'static str, key: &Key) -> SettingsError {
    SettingsError::Incomplete { present: present.origin.to_string(), what, ways: key.ways() }
}

fn same_place(token: &Raw, access: &Raw) -> bool {
    match (&token.origin, &access.origin) {
        (Origin::File(_), Origin::File(_)) => true,
        (Origin::Env { .. }, Origin::Env { name, .. }) => name.starts_with("AWS_"),
        _ => false,
    }
}

/// A URL, or host and port alone, to which `use_ssl` then adds the scheme.
fn endpoint(raw: &Raw) -> Result<String, SettingsError> {
    let text = raw.text.trim().trim_end_matches('/');
    let host = match text.split_once("://") {
        Some(("http" | "https", host)) => host,
        Some(_) => "",
        None => text,
    };
    if host.contains('@') {
        // What stands before it is a password.
        return Err(SettingsError::Invalid {
            origin: raw.origin.to_string(),
            value: "…@…".to_owned(),
            expected: "without user and password; they are `s3.access_key` and `s3.secret_key`"
                .to_owned(),
        });
    }
    if host.is_empty() || host.contains(['/', ' ']) {
        return Err(raw.invalid("`http://host[:port]`, `https://host[:port]` or `host[:port]`"));
    }
    Ok(text.to_owned())
}
