//! How rows are loaded into PostgreSQL.

use super::error::SettingsError;
use super::keys;
use super::sources::{Raw, Sources};
use super::values::{bytes, choice};

/// How rows are loaded into PostgreSQL. Changes no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loading {
    /// Connections that write days at once; `None` means by threads and memory.
    pub connections: Option<usize>,
    /// Encoded bytes of a connection that are sent at once.
    pub copy_buffer: usize,
    pub bulk: BulkMode,
}

/// When a month is loaded into a new table that then takes its partition's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkMode {
    /// Where the rows are many enough for it to be faster.
    Auto,
    Off,
    /// Wherever it is possible.
    On,
}

/// Larger ones make nothing faster.
const COPY_BUFFER: usize = 256 * 1024;
const LEAST_BUFFER: usize = 4 * 1024;
const MOST_BUFFER: usize = 64 * 1024 * 1024;
const MOST_CONNECTIONS: usize = 64;

pub(super) fn settle(sources: &mut Sources<'_>) -> Result<Loading, SettingsError> {
    let modes = [("auto", BulkMode::Auto), ("off", BulkMode::Off), ("on", BulkMode::On)];
    Ok(Loading {
        connections: sources.parse(&keys::CONNECTIONS, connections)?.flatten(),
        copy_buffer: sources.parse(&keys::COPY_BUFFER, copy_buffer)?.unwrap_or(COPY_BUFFER),
        bulk: sources.parse(&keys::BULK, |raw| choice(raw, &modes))?.unwrap_or(BulkMode::Auto),
    })
}

/// `None` is `auto`.
fn connections(raw: &Raw) -> Result<Option<usize>, SettingsError> {
    match raw.text.trim() {
        "auto" => Ok(None),
        text => match text.parse() {
            Ok(n) if (1..=MOST_CONNECTIONS).contains(&n) => Ok(Some(n)),
            _ => Err(raw.invalid("`auto` or a number of connections from 1 to 64")),
        },
    }
}

fn copy_buffer(raw: &Raw) -> Result<usize, SettingsError> {
    bytes(raw.text.trim())
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|bytes| (LEAST_BUFFER..=MOST_BUFFER).contains(bytes))
        .ok_or_else(|| raw.invalid("a size from `4KiB` to `64MiB`"))
}

#[cfg(test)]
mod tests {
    use super::super::sources::Origin;
    use super::*;

    fn raw(text: &str) -> Raw {
        Raw { text: text.to_owned(), origin: Origin::Flag("flag") }
    }

    #[test]
    fn numbers_of_connections() {
        assert_eq!(connections(&raw("auto")).unwrap(), None);
        assert_eq!(connections(&raw(" 8")).unwrap(), Some(8));
        for text in ["0", "65", "-1", "many"] {
            assert_eq!(
                connections(&raw(text)).unwrap_err().to_string(),
                format!(
                    "`--flag` is `{text}`, but must be `auto` or a number of connections from 1 to \
                     64"
                )
            );
        }
    }

    #[test]
    fn sizes_of_the_buffer() {
        assert_eq!(copy_buffer(&raw("1MiB")).unwrap(), 1 << 20);
        assert_eq!(copy_buffer(&raw("4096")).unwrap(), 4096);
        for text in ["4095", "65MiB", "auto", "0"] {
            let message = copy_buffer(&raw(text)).unwrap_err().to_string();
            assert!(message.ends_with("must be a size from `4KiB` to `64MiB`"), "{message}");
        }
    }
}
