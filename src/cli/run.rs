//! Flags of `run`.

use clap::Args;

use super::logging::LoggingFlags;
use super::observe::ObserveFlags;
use super::postgres::PostgresFlags;
use super::{ConfigFlag, Flags, text};

pub(super) const ABOUT: &str = "\
Reads the hourly line items of one or several sources, sums them by day, and replaces those days in \
the summary. A day is replaced in one transaction, so it can be run again at any time and readers \
never see half a day.

Every flag is also an environment variable, OCP_ROLLUP_ and its name: --pod-source is \
OCP_ROLLUP_POD_SOURCE. Most are keys of the config file too. Flags beat the environment, which beats \
the file. The names that Koku and the proof of concept use (DATABASE_SERVICE_HOST, POSTGRES_HOST, \
S3_ENDPOINT, OCP_PROVIDER_UUID, ORG_ID, ...) are read as well.";

const EXAMPLES: &str = "\
Examples:
  One month from a local tree into PostgreSQL
    ocp-rollup run --source /srv/koku --org-id org1234567 --provider-uuid $UUID \\
                   --from 2025-10-01 --to 2025-10-31
  Yesterday, without a database
    ocp-rollup run --source /srv/koku --org-id org1234567 --provider-uuid $UUID \\
                   --from yesterday --to yesterday --lookups ./lookups --sink csv:out.csv";

#[derive(Debug, Clone, Default, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunFlags {
    #[command(flatten)]
    pub config: ConfigFlag,

    /// First day, inclusive, UTC: `2025-10-01`, `today`, `yesterday` or `-3d` (three days ago)
    /// [default: the first day of `ocp.year` and `ocp.month`].
    #[arg(long, value_name = "DATE", allow_hyphen_values = true, value_parser = text(),
          help_heading = "What to roll up")]
    pub from: Option<String>,

    /// Last day, inclusive, UTC; forms as for --from [default: the last day of `ocp.year` and
    /// `ocp.month`].
    #[arg(long, value_name = "DATE", allow_hyphen_values = true, value_parser = text(),
          help_heading = "What to roll up")]
    pub to: Option<String>,

    /// Source (provider) to roll up; repeat it or separate several by commas.
    #[arg(long, value_name = "UUID", value_delimiter = ',', value_parser = text(),
          help_heading = "What to roll up")]
    pub provider_uuid: Vec<String>,

    /// Cluster id of the rows [default: looked up in PostgreSQL, else null].
    #[arg(long, value_name = "ID", value_parser = text(), help_heading = "What to roll up")]
    pub cluster_id: Option<String>,

    /// Cluster alias of the rows [default: looked up in PostgreSQL, else null].
    #[arg(long, value_name = "NAME", value_parser = text(), help_heading = "What to roll up")]
    pub cluster_alias: Option<String>,

    /// Report period of the rows; only for one source and one month [default: looked up in
    /// PostgreSQL, else numbered 1, 2, ... by month].
    #[arg(long, value_name = "ID", value_parser = text(), help_heading = "What to roll up")]
    pub report_period_id: Option<String>,

    /// Replace a month of a source that has no input by nothing. Without it such a month is left
    /// alone, since an empty folder is more often a mistake than a cluster without usage.
    #[arg(long, value_name = "on|off", num_args = 0..=1, require_equals = true,
          default_missing_value = "on", value_parser = ["on", "off"],
          help_heading = "What to roll up")]
    pub allow_empty: Option<String>,

    /// Share the days with other hosts: this run does one of so many parts, which --shard-index
    /// names. Which days those are depends on the sources and days asked for, and on --shard-weights.
    #[arg(long, value_name = "N", value_parser = text(), help_heading = "What to roll up")]
    pub shard_count: Option<String>,

    /// The part that this run does, from 0 [default: JOB_COMPLETION_INDEX, which Kubernetes sets in
    /// an indexed Job].
    #[arg(long, value_name = "I", value_parser = text(), help_heading = "What to roll up")]
    pub shard_index: Option<String>,

    /// Share the days so that each part has about as many rows, by this output of `ocp-rollup plan
    /// --json` for the same sources and days. Every part must be given the same file: they would not be the
    /// whole otherwise [default: as many days for each].
    #[arg(long, value_name = "FILE", value_parser = text(), help_heading = "What to roll up")]
    pub shard_weights: Option<String>,

    /// Leave out days whose input has not changed since their rows were written, by the ledger;
    /// after a crash the same command goes on where it stopped. `ocp-rollup status` shows which.
    #[arg(long, value_name = "on|off", num_args = 0..=1, require_equals = true,
          default_missing_value = "on", value_parser = ["on", "off"],
          help_heading = "What to roll up")]
    pub incremental: Option<String>,

    /// Local folder or `s3://bucket[/prefix]` that holds `data/`.
    #[arg(long, value_name = "URI", value_parser = text(), help_heading = "Input")]
    pub source: Option<String>,

    /// Where line items lie below the source: `koku`, `poc`, or a path template with `{type}` and
    /// `{uuid}`, and any of `{account} {org} {year} {month} {day} *`; it ends in `/` (every
    /// Parquet file below) or `.parquet` [default: koku].
    #[arg(long, value_name = "koku|poc|TEMPLATE", value_parser = text(), help_heading = "Input")]
    pub layout: Option<String>,

    /// Account part of the path, e.g. `org1234567` [default: the value of --schema].
    #[arg(long, value_name = "ORG", value_parser = text(), help_heading = "Input")]
    pub org_id: Option<String>,

    /// Refuse input where a day was uploaded more than once. Without it the upload with the most
    /// hours counts and the others are left out with a warning.
    #[arg(long, value_name = "on|off", num_args = 0..=1, require_equals = true,
          default_missing_value = "on", value_parser = ["on", "off"], help_heading = "Input")]
    pub strict_duplicates: Option<String>,

    /// PEM file with the authorities to trust for an object store [default: those of the system].
    #[arg(long, value_name = "FILE", value_parser = text(), help_heading = "Input")]
    pub s3_ca: Option<String>,

    /// Where the bucket's name stands in a request: `path` (host/bucket) or `virtual`
    /// (bucket.host) [default: path].
    #[arg(long, value_name = "STYLE", value_parser = ["path", "virtual"], help_heading = "Input")]
    pub s3_addressing: Option<String>,

    /// A request to an object store that brings no byte for this long has failed [default: 30s].
    #[arg(long, value_name = "TIME", value_parser = text(), help_heading = "Input")]
    pub s3_timeout: Option<String>,

    /// A request to an object store that fails in passing is tried again for this long
    /// [default: 3min].
    #[arg(long, value_name = "TIME", value_parser = text(), help_heading = "Input")]
    pub s3_retry_for: Option<String>,

    /// Where enabled label keys, cost categories and node roles come from: the database, or a
    /// folder with `enabled_tag_keys.csv`, `cost_category_namespace.csv` and `nodes.csv`
    /// [default: postgres].
    #[arg(long, value_name = "postgres|DIR", value_parser = text(), help_heading = "Input")]
    pub lookups: Option<String>,

    /// Which files the usage of pods comes from; capacity is always from the hourly ones
    /// [default: hourly].
    #[arg(long, value_name = "FILES", value_parser = ["hourly", "daily"], help_heading = "Input")]
    pub pod_source: Option<String>,

    /// Where the rows go [default: postgres].
    #[arg(long, value_name = "postgres|csv:FILE|parquet:PATH", value_parser = text(),
          help_heading = "Output")]
    pub sink: Option<String>,

    /// Keep beside the rows what each day was made of, in the table `ocp_rollup_ledger` of the
    /// tenant's schema; off where such a table may not be [default: on].
    #[arg(long, value_name = "on|off", value_parser = ["on", "off"], help_heading = "Output")]
    pub ledger: Option<String>,

    /// How long a day waits while another writer has it [default: 10min].
    #[arg(long, value_name = "TIME", value_parser = text(), help_heading = "Output")]
    pub db_lock_wait: Option<String>,

    /// A day that fails in passing (deadlock, serialization failure, lost connection) is tried
    /// again for this long, or `off` [default: 3min].
    #[arg(long, value_name = "TIME", value_parser = text(), help_heading = "Output")]
    pub db_retry_for: Option<String>,

    /// What several label objects or category patterns for one name on one day do: multiply the
    /// sums as Koku does, or collapse to the latest object [default: koku].
    #[arg(long, value_name = "RULE", value_parser = ["koku", "collapse"], help_heading = "Output")]
    pub fan_out: Option<String>,

    /// Whose rules say when a sum is null: Koku's self-hosted SQL or its Trino SQL
    /// [default: self_hosted].
    #[arg(long, value_name = "RULE", value_parser = ["self_hosted", "trino"],
          help_heading = "Output")]
    pub null_rules: Option<String>,

    /// Connections to PostgreSQL that write days at once, or `auto` [default: auto, one for each
    /// thread, at most 4, and 1 where memory is short].
    #[arg(long, value_name = "auto|N", value_parser = text(), help_heading = "Performance")]
    pub connections: Option<String>,

    /// Encoded bytes that each connection sends at once [default: 256KiB].
    #[arg(long, value_name = "SIZE", value_parser = text(), help_heading = "Performance")]
    pub copy_buffer: Option<String>,

    /// Load months into new tables without indexes, and put each in its partition's place when it
    /// is complete; `auto` does where the rows are many [default: auto].
    #[arg(long, value_name = "WHEN", value_parser = ["auto", "off", "on"],
          help_heading = "Performance")]
    pub bulk: Option<String>,

    /// Worker threads, or `auto` [default: auto, what the CPU quota and affinity allow].
    #[arg(long, value_name = "auto|N", value_parser = text(), help_heading = "Performance")]
    pub threads: Option<String>,

    /// Have so many worker processes read, aggregate and finish days: one that dies costs a day's work instead of
    /// the run. They share the threads and the memory limit. `off` does all in one process [default:
    /// off].
    #[arg(long, value_name = "off|N", value_parser = text(), help_heading = "Performance")]
    pub processes: Option<String>,

    /// A worker process that gives no sign of life for this long is killed and replaced
    /// [default: 60s].
    #[arg(long, value_name = "TIME", value_parser = text(), help_heading = "Performance")]
    pub worker_timeout: Option<String>,

    /// Memory the process may take: `512MiB`, `1GiB`, `500MB`, bytes, or `auto` [default: auto,
    /// the cgroup's limit, else the host's memory].
    #[arg(long, value_name = "SIZE", value_parser = text(), help_heading = "Performance")]
    pub memory_limit: Option<String>,

    /// Folder for groups that do not fit into memory; the file there has no name and is gone when
    /// the process is [default: the system's folder for temporary files].
    #[arg(long, value_name = "DIR", value_parser = text(), help_heading = "Performance")]
    pub spill_dir: Option<String>,

    /// Spill states of this many groups although there is room.
    #[arg(long, value_name = "GROUPS", hide = true)]
    pub force_spill: Option<usize>,

    /// Rows a task aggregates at once [default: auto, by the memory limit].
    #[arg(long, value_name = "auto|N", value_parser = text(), help_heading = "Performance")]
    pub chunk_rows: Option<String>,

    /// Let go of a day as soon as it is complete; off keeps every day to the end [default: on].
    #[arg(long, value_name = "on|off", value_parser = ["on", "off"], help_heading = "Performance")]
    pub streaming: Option<String>,

    /// Keep texts as dictionary codes; off compares texts [default: on].
    #[arg(long, value_name = "on|off", value_parser = ["on", "off"], help_heading = "Performance")]
    pub categorical: Option<String>,

    /// Read only the columns that count; off reads all of them [default: on].
    #[arg(long, value_name = "on|off", value_parser = ["on", "off"], help_heading = "Performance")]
    pub column_filtering: Option<String>,

    #[command(flatten)]
    pub postgres: PostgresFlags,

    #[command(flatten)]
    pub observe: ObserveFlags,

    #[command(flatten)]
    pub logging: LoggingFlags,
}

impl Flags for RunFlags {
    fn value(&self, name: &str) -> Option<String> {
        match name {
            "from" => self.from.clone(),
            "to" => self.to.clone(),
            "provider-uuid" => {
                (!self.provider_uuid.is_empty()).then(|| self.provider_uuid.join(","))
            }
            "cluster-id" => self.cluster_id.clone(),
            "cluster-alias" => self.cluster_alias.clone(),
            "report-period-id" => self.report_period_id.clone(),
            "allow-empty" => self.allow_empty.clone(),
            "shard-count" => self.shard_count.clone(),
            "shard-index" => self.shard_index.clone(),
            "shard-weights" => self.shard_weights.clone(),
            "incremental" => self.incremental.clone(),
            "ledger" => self.ledger.clone(),
            "db-lock-wait" => self.db_lock_wait.clone(),
            "db-retry-for" => self.db_retry_for.clone(),
            "source" => self.source.clone(),
            "layout" => self.layout.clone(),
            "org-id" => self.org_id.clone(),
            "strict-duplicates" => self.strict_duplicates.clone(),
            "s3-ca" => self.s3_ca.clone(),
            "s3-addressing" => self.s3_addressing.clone(),
            "s3-timeout" => self.s3_timeout.clone(),
            "s3-retry-for" => self.s3_retry_for.clone(),
            "lookups" => self.lookups.clone(),
            "pod-source" => self.pod_source.clone(),
            "sink" => self.sink.clone(),
            "fan-out" => self.fan_out.clone(),
            "null-rules" => self.null_rules.clone(),
            "connections" => self.connections.clone(),
            "copy-buffer" => self.copy_buffer.clone(),
            "bulk" => self.bulk.clone(),
            "threads" => self.threads.clone(),
            "processes" => self.processes.clone(),
            "worker-timeout" => self.worker_timeout.clone(),
            "memory-limit" => self.memory_limit.clone(),
            "spill-dir" => self.spill_dir.clone(),
            "chunk-rows" => self.chunk_rows.clone(),
            "streaming" => self.streaming.clone(),
            "categorical" => self.categorical.clone(),
            "column-filtering" => self.column_filtering.clone(),
            _ => (self.postgres.value(name))
                .or_else(|| self.observe.value(name))
                .or_else(|| self.logging.value(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::settings::keys;

    fn run(arguments: &[&str]) -> RunFlags {
        let all = ["ocp-rollup", "run"].iter().chain(arguments);
        let Command::Run(flags) = Cli::try_parse_from(all).unwrap().command else { panic!() };
        *flags
    }

    #[test]
    fn every_flag_is_a_key_and_gives_its_value() {
        let command = Cli::command();
        let mut flags: Vec<String> = command
            .find_subcommand("run")
            .unwrap()
            .get_arguments()
            .filter_map(|a| a.get_long().map(str::to_owned))
            .filter(|name| !["help", "version", "config", "force-spill"].contains(&name.as_str()))
            .collect();
        flags.sort();
        let mut known: Vec<&str> = keys::ALL.iter().filter_map(|k| k.flag).collect();
        known.sort_unstable();
        assert_eq!(flags, known);

        for name in known {
            let given = match name {
                "pod-source" => "daily",
                "fan-out" => "collapse",
                "null-rules" => "trino",
                "log-format" | "progress" => "json",
                "db-sslmode" => "verify-ca",
                "s3-addressing" => "virtual",
                "bulk" => "on",
                "allow-empty" | "strict-duplicates" | "streaming" | "categorical"
                | "column-filtering" | "incremental" | "ledger" => "off",
                _ => "some text",
            };
            let flags = run(&[&format!("--{name}={given}")]);
            assert_eq!(flags.value(name).as_deref(), Some(given), "--{name}");
            for other in keys::ALL.iter().filter_map(|k| k.flag).filter(|o| *o != name) {
                assert_eq!(flags.value(other), None, "--{name} must not set --{other}");
            }
        }
    }

    #[test]
    fn providers_are_repeated_or_separated_by_commas() {
        let flags = run(&["--provider-uuid", "a,b", "--provider-uuid", "c"]);
        assert_eq!(flags.value("provider-uuid").as_deref(), Some("a,b,c"));
    }

    #[test]
    fn relative_dates_may_begin_with_a_hyphen() {
        let flags = run(&["--from", "-3d", "--to", "yesterday"]);
        assert_eq!(flags.from.as_deref(), Some("-3d"));
        assert_eq!(flags.to.as_deref(), Some("yesterday"));
    }

    #[test]
    fn allow_empty_needs_no_value() {
        assert_eq!(run(&["--allow-empty", "--to", "today"]).allow_empty.as_deref(), Some("on"));
    }
}
