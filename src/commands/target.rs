//! The object store that a subcommand writes to.

use anyhow::Result;

use super::signals::Signals;
use crate::cli::Flags;
use crate::settings::{self, ConfigFile, load};
use crate::store::S3Store;

/// Whether `out` names an object store.
pub fn is_store(out: &str) -> bool {
    out.starts_with("s3://")
}

/// The object store that `out` names; `None` where it is a folder.
///
/// # Errors
/// Settings that are none, or a store that cannot even be asked.
pub fn store(
    out: &str,
    flags: &dyn Flags,
    config: Option<&ConfigFile>,
    signals: &Signals,
) -> Result<Option<S3Store>> {
    if !is_store(out) {
        return Ok(None);
    }
    let settled = settings::settle_s3(flags, &load::env, config)?;
    settled.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    Ok(Some(S3Store::open(out, &settled.settings, signals.cancelled().clone())?))
}
