//! Every setting: its key in the config file, its flag, its environment variables.

/// One setting and the names it goes by.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Dotted path in the config file.
    pub path: &'static str,
    /// Long flag without dashes. Its environment variable is `OCP_ROLLUP_` and the flag's name.
    pub flag: Option<&'static str>,
    /// Further environment variables; the first that is set and not empty counts.
    pub env: &'static [&'static str],
    pub form: Form,
}

/// What YAML may hold for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    /// A text with commas, or a list.
    List,
    /// A number that may have a fraction.
    Number,
}

/// The environment variable that goes with a flag.
pub fn flag_variable(flag: &str) -> String {
    format!("OCP_ROLLUP_{}", flag.to_uppercase().replace('-', "_"))
}

impl Key {
    /// Every environment variable of this key, the strongest first.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        self.flag
            .map(flag_variable)
            .into_iter()
            .chain(self.env.iter().map(|name| (*name).to_owned()))
    }

    /// The ways to give this setting, for messages: "`--x`, `X` in the environment or `a.b` in
    /// the config file".
    pub fn ways(&self) -> String {
        let mut ways = Vec::new();
        if let Some(flag) = self.flag {
            ways.push(format!("`--{flag}`"));
        }
        // Koku's own name says more to whoever runs it than ours does.
        if let Some(name) =
            self.env.first().map(|n| (*n).to_owned()).or_else(|| self.flag.map(flag_variable))
        {
            ways.push(format!("`{name}` in the environment"));
        }
        let file = format!("`{}` in the config file", self.path);
        if ways.is_empty() { file } else { format!("{} or {file}", ways.join(", ")) }
    }
}

macro_rules! keys {
    ($($name:ident = $path:literal, $flag:expr, [$($env:literal),*], $form:ident;)*) => {
        $(pub const $name: Key = Key { path: $path, flag: $flag, env: &[$($env),*], form: Form::$form };)*
        /// Every key, in the order of the config file.
        pub const ALL: &[&Key] = &[$(&$name),*];
    };
}

keys! {
    SOURCE = "input.source", Some("source"), [], Text;
    LAYOUT = "input.layout", Some("layout"), [], Text;
    LAYOUT_DAILY = "input.layout_daily", None, ["OCP_ROLLUP_LAYOUT_DAILY"], Text;
    STRICT_DUPLICATES = "input.strict_duplicates", Some("strict-duplicates"), [], Text;

    ORG_ID = "organization.org_id", Some("org-id"), ["ORG_ID"], Text;

    PROVIDER_UUID = "ocp.provider_uuid", Some("provider-uuid"), ["OCP_PROVIDER_UUID"], List;
    CLUSTER_ID = "ocp.cluster_id", Some("cluster-id"), ["OCP_CLUSTER_ID"], Text;
    CLUSTER_ALIAS = "ocp.cluster_alias", Some("cluster-alias"), ["OCP_CLUSTER_ALIAS"], Text;
    FROM = "ocp.start_date", Some("from"), ["OCP_START_DATE"], Text;
    TO = "ocp.end_date", Some("to"), ["OCP_END_DATE"], Text;
    YEAR = "ocp.year", None, ["OCP_YEAR"], Text;
    MONTH = "ocp.month", None, ["OCP_MONTH"], Text;
    REPORT_PERIOD_ID = "ocp.report_period_id", Some("report-period-id"), [], Text;
    PATH_POD = "ocp.parquet_path_pod", None, [], Text;
    PATH_POD_HOURLY = "ocp.parquet_path_pod_hourly", None, [], Text;
    PATH_STORAGE = "ocp.parquet_path_storage", None, [], Text;
    PATH_STORAGE_DAILY = "ocp.parquet_path_storage_usage_daily", None, [], Text;
    PATH_NODE_LABELS = "ocp.parquet_path_node_labels", None, [], Text;
    PATH_NAMESPACE_LABELS = "ocp.parquet_path_namespace_labels", None, [], Text;

    S3_ENDPOINT = "s3.endpoint", None,
        ["S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"], Text;
    S3_BUCKET = "s3.bucket", None, ["S3_BUCKET_NAME", "S3_BUCKET", "REQUESTED_BUCKET"], Text;
    S3_ACCESS_KEY = "s3.access_key", None, ["S3_ACCESS_KEY", "AWS_ACCESS_KEY_ID"], Text;
    S3_SECRET_KEY = "s3.secret_key", None,
        ["S3_SECRET", "S3_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"], Text;
    S3_SESSION_TOKEN = "s3.session_token", None, ["AWS_SESSION_TOKEN"], Text;
    S3_REGION = "s3.region", None, ["S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"], Text;
    S3_USE_SSL = "s3.use_ssl", None, [], Text;
    S3_VERIFY_SSL = "s3.verify_ssl", None, [], Text;
    S3_CA_BUNDLE = "s3.ca_bundle", Some("s3-ca"), ["AWS_CA_BUNDLE"], Text;
    S3_ADDRESSING = "s3.addressing_style", Some("s3-addressing"), [], Text;
    S3_TIMEOUT = "s3.timeout", Some("s3-timeout"), [], Text;
    S3_RETRY_FOR = "s3.retry_for", Some("s3-retry-for"), [], Text;

    LOOKUPS = "lookups", Some("lookups"), [], Text;
    SINK = "sink", Some("sink"), [], Text;

    DB_HOST = "postgresql.host", Some("db-host"), ["DATABASE_SERVICE_HOST", "POSTGRES_HOST"], Text;
    DB_PORT = "postgresql.port", Some("db-port"), ["DATABASE_SERVICE_PORT", "POSTGRES_PORT"], Text;
    DB_NAME = "postgresql.database", Some("db-name"),
        ["DATABASE_NAME", "POSTGRES_DB", "POSTGRES_DATABASE"], Text;
    DB_USER = "postgresql.user", Some("db-user"), ["DATABASE_USER", "POSTGRES_USER"], Text;
    DB_PASSWORD = "postgresql.password", None, ["DATABASE_PASSWORD", "POSTGRES_PASSWORD"], Text;
    DB_SCHEMA = "postgresql.schema", Some("schema"), ["POSTGRES_SCHEMA"], Text;
    DB_SSLMODE = "postgresql.sslmode", Some("db-sslmode"), ["PGSSLMODE"], Text;
    DB_SSLROOTCERT = "postgresql.sslrootcert", Some("db-sslrootcert"), ["PGSSLROOTCERT"], Text;
    DB_APPLICATION_NAME = "postgresql.application_name", Some("db-application-name"),
        ["PGAPPNAME"], Text;
    DB_STATEMENT_TIMEOUT = "postgresql.statement_timeout", Some("db-statement-timeout"), [], Text;
    DB_LOCK_TIMEOUT = "postgresql.lock_timeout", Some("db-lock-timeout"), [], Text;
    DB_LOCK_WAIT = "postgresql.lock_wait", Some("db-lock-wait"), [], Text;
    DB_RETRY_FOR = "postgresql.retry_for", Some("db-retry-for"), [], Text;
    CONNECTIONS = "postgresql.connections", Some("connections"), [], Text;
    COPY_BUFFER = "postgresql.copy_buffer", Some("copy-buffer"), [], Text;
    BULK = "postgresql.bulk", Some("bulk"), [], Text;

    POD_SOURCE = "aggregation.pod_source", Some("pod-source"), [], Text;
    FAN_OUT = "aggregation.fan_out", Some("fan-out"), [], Text;
    NULL_RULES = "aggregation.null_rules", Some("null-rules"), [], Text;

    USE_STREAMING = "performance.use_streaming", Some("streaming"), [], Text;
    CHUNK_SIZE = "performance.chunk_size", Some("chunk-rows"), [], Text;
    USE_CATEGORICAL = "performance.use_categorical", Some("categorical"), [], Text;
    COLUMN_FILTERING = "performance.column_filtering", Some("column-filtering"), [], Text;
    MAX_WORKERS = "performance.max_workers", Some("threads"), [], Text;
    PROCESSES = "performance.processes", Some("processes"), [], Text;
    WORKER_TIMEOUT = "performance.worker_timeout", Some("worker-timeout"), [], Text;
    MEMORY_LIMIT = "performance.memory_limit", Some("memory-limit"), [], Text;
    SPILL_DIR = "performance.spill_dir", Some("spill-dir"), [], Text;
    MAX_MEMORY_GB = "performance.max_memory_gb", None, [], Number;

    ALLOW_EMPTY = "run.allow_empty", Some("allow-empty"), [], Text;
    SHARD_COUNT = "run.shard_count", Some("shard-count"), [], Text;
    SHARD_INDEX = "run.shard_index", Some("shard-index"), ["JOB_COMPLETION_INDEX"], Text;
    SHARD_WEIGHTS = "run.shard_weights", Some("shard-weights"), [], Text;
    INCREMENTAL = "run.incremental", Some("incremental"), [], Text;
    LEDGER = "run.ledger", Some("ledger"), [], Text;

    PROGRESS = "progress.form", Some("progress"), [], Text;
    PROGRESS_INTERVAL = "progress.interval", Some("progress-interval"), [], Text;
    METRICS_FILE = "metrics.file", Some("metrics-file"), [], Text;
    METRICS_LISTEN = "metrics.listen", Some("metrics-listen"), [], Text;
    REPORT = "report", Some("report"), [], Text;

    LOG_LEVEL = "logging.level", Some("log-level"), ["RUST_LOG"], Text;
    LOG_FORMAT = "logging.format", Some("log-format"), [], Text;
}

/// Keys of the proof of concept that have no meaning here: accepted, and named in one warning.
pub const WITHOUT_EFFECT: &[&str] = &[
    "features.cost_category",
    "features.pod_aggregation",
    "features.storage_aggregation",
    "features.unallocated_capacity",
    "logging.show_sql",
    "performance.cache_enabled_tags",
    "performance.db_batch_size",
    "performance.delete_intermediate_dfs",
    "performance.gc_after_aggregation",
    "performance.intern_strings",
    "performance.parallel_chunks",
    "performance.parallel_readers",
    "performance.streaming_threshold_rows",
    "performance.use_arrow_compute",
    "performance.use_bulk_copy",
    "validation.enabled",
    "validation.sample_size",
    "validation.tolerance",
    "validation.trino.catalog",
    "validation.trino.enabled",
    "validation.trino.host",
    "validation.trino.port",
    "validation.trino.user",
];

/// Every key that the config file may hold, effective or not.
pub fn known_paths() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|key| key.path).chain(WITHOUT_EFFECT.iter().copied())
}
