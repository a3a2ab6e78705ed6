//! What a run is told to do: flags over environment over config file, settled once.
//!
//! Everything downstream takes [`Settings`] and never looks at the environment or the command
//! line again.

mod config;
mod database;
pub mod dates;
mod error;
mod expand;
pub mod keys;
pub mod layout;
pub mod load;
mod loading;
mod observe;
mod path_matcher;
mod settle;
mod sources;
mod storage;
#[cfg(test)]
mod tests;
mod values;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use config::ConfigFile;
pub use dates::Month;
pub use error::SettingsError;
pub use loading::{BulkMode, Loading};
pub use observe::PROGRESS_FORMS;
pub use path_matcher::PathMatcher;
pub(crate) use path_matcher::account;
pub use settle::{Settled, given, settle, settle_database, settle_logging, settle_s3};
pub use sources::Env;
pub(crate) use values::bytes;

/// The settled settings of one `run`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub input: Input,
    pub from: NaiveDate,
    pub to: NaiveDate,
    /// The sources (providers) to roll up, without duplicates, in the order given.
    pub provider_uuids: Vec<Uuid>,
    /// Given by the user, else looked up in PostgreSQL, else left null.
    pub cluster_id: Option<String>,
    pub cluster_alias: Option<String>,
    /// Given by the user; one month only.
    pub report_period_id: Option<i32>,
    pub lookups: LookupsFrom,
    pub sink: SinkTo,
    pub postgres: Postgres,
    pub loading: Loading,
    pub performance: Performance,
    pub aggregation: Aggregation,
    /// Replace a month of a source that has no input by nothing, instead of leaving it alone.
    pub allow_empty: bool,
    /// Share the run with other hosts; `None` means that this one does all of it.
    pub sharding: Option<Sharding>,
    /// Leave out days whose input is what their rows were made of.
    pub incremental: bool,
    /// Keep in PostgreSQL what the rows of each day were made of.
    pub ledger: bool,
    pub observe: Observe,
    pub logging: Logging,
}

/// How a run is divided among hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharding {
    pub count: usize,
    /// The part that this host does, from 0; `None` where only the division is asked for.
    pub index: Option<usize>,
    /// What `plan --json` printed, to share the days by their rows.
    pub weights: Option<PathBuf>,
}

impl Settings {
    /// The months of the range, in order; never empty.
    pub fn months(&self) -> Vec<Month> {
        Month::between(self.from, self.to)
    }
}

/// Where the line items lie.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// A folder, or `s3://bucket[/prefix]`: what holds `data/`.
    pub source: String,
    pub layout: Layout,
    /// The account part of the path, e.g. `org1234567`; empty if no template holds it.
    pub org_id: String,
    /// How to reach the object store; `None` if the source is a folder.
    pub s3: Option<S3>,
    /// Refuse files of which a later upload of the same day holds more, instead of leaving them
    /// out.
    pub strict_duplicates: bool,
}

/// How to reach an S3-like object store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3 {
    /// URL, or `host[:port]`, to which `use_ssl` adds the scheme; `None` is AWS.
    pub endpoint: Option<String>,
    /// Both keys or neither; neither is AWS's own chain (web identity, container, instance).
    pub access_key: Option<Secret>,
    pub secret_key: Option<Secret>,
    pub session_token: Option<Secret>,
    pub region: String,
    /// `https` for an endpoint without a scheme.
    pub use_ssl: bool,
    /// Check the certificate of the store.
    pub verify_ssl: bool,
    /// PEM file with the authorities to trust; `None` means those of the system.
    pub ca_bundle: Option<PathBuf>,
    pub addressing: Addressing,
    /// A request that brings no byte for this long has failed.
    pub timeout: Duration,
    /// A request that fails in passing is tried again for this long.
    pub retry_for: Duration,
}

/// Where the bucket's name stands in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Addressing {
    /// `https://host/bucket/key`
    Path,
    /// `https://bucket.host/key`
    Virtual,
}

/// Path templates below the source, one per report type and granularity.
///
/// Placeholders: `{account}`, `{org}`, `{uuid}`, `{year}`, `{month}` (both `8` and `08`
/// are tried), `{day}`, and `*` for any run of characters but `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pub hourly: TypePaths,
    /// Always there where [`Aggregation::pod_source`] is [`PodSource::Daily`].
    pub daily: Option<TypePaths>,
}

/// A template for each of the four report types; `{type}` is already expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypePaths {
    pub pod_usage: String,
    pub storage_usage: String,
    pub node_labels: String,
    pub namespace_labels: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupsFrom {
    Postgres,
    Directory(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkTo {
    Postgres,
    Csv(PathBuf),
    Parquet(PathBuf),
}

/// How to reach PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password: Option<Secret>,
    /// The tenant schema, an identifier.
    pub schema: String,
    pub sslmode: SslMode,
    pub sslrootcert: Option<PathBuf>,
    pub session: Session,
}

/// How the program behaves while it is connected to PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// As `pg_stat_activity` shows it.
    pub application_name: String,
    /// The most that one statement may take; `None` leaves it to the server, zero is no limit.
    pub statement_timeout: Option<Duration>,
    /// The most that a statement may wait for a lock; as for `statement_timeout`.
    pub lock_timeout: Option<Duration>,
    /// How long a day waits while another writer has it.
    pub lock_wait: Duration,
    /// How long a day that fails in passing is tried again; zero is not at all.
    pub retry_for: Duration,
}

impl Default for Session {
    fn default() -> Self {
        Session {
            application_name: "ocp-rollup".to_owned(),
            statement_timeout: None,
            lock_timeout: None,
            lock_wait: Duration::from_secs(600),
            retry_for: Duration::from_secs(180),
        }
    }
}

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Performance {
    /// Free a day as soon as it is complete; off keeps every day to the end.
    pub use_streaming: bool,
    /// Keep strings as dictionary codes; off compares strings.
    pub use_categorical: bool,
    /// Read only the columns needed; off reads all.
    pub column_filtering: bool,
    pub chunk_size: ChunkSize,
    /// Worker threads; `None` means what the CPU quota and affinity allow.
    pub threads: Option<usize>,
    /// Worker processes beside the coordinator; `None` means that all is done in one process.
    pub processes: Option<usize>,
    /// A worker process that gives no sign of life for so long is killed.
    pub worker_timeout: Duration,
    /// In bytes; `None` means the cgroup's limit, else the host's memory.
    pub memory_limit: Option<u64>,
    /// Folder of the temporary file for groups that do not fit into memory.
    pub spill_dir: PathBuf,
    /// Spill states of so many groups although there is room, as a test.
    pub force_spill: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkSize {
    Auto,
    Rows(usize),
}

/// Rules that change rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregation {
    pub pod_source: PodSource,
    pub fan_out: FanOut,
    pub null_rules: NullRules,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodSource {
    Hourly,
    Daily,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FanOut {
    /// Multiply as upstream's joins do.
    Koku,
    /// Never multiply: the latest label object wins, categories only pick the max.
    Collapse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NullRules {
    SelfHosted,
    Trino,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// A `tracing` filter directive, e.g. `info` or `ocp_rollup=debug`.
    pub level: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Human lines on a terminal, JSON lines otherwise.
    Auto,
    Human,
    Json,
}

/// How a run can be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observe {
    pub progress: ProgressForm,
    /// Between two lines of progress, and two versions of the file of metrics.
    pub interval: Duration,
    /// For the textfile collector of node exporter.
    pub metrics_file: Option<PathBuf>,
    /// Where metrics are served while the run lasts.
    pub metrics_listen: Option<SocketAddr>,
    /// Folder for `report.json` and `report.html`.
    pub report: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressForm {
    /// Bars on a terminal, lines otherwise.
    Auto,
    Bar,
    Json,
    Off,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
