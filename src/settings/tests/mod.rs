//! Settling as a whole: defaults and precedence here, the rest by concern.

mod days;
mod files;
mod input;
mod places;

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};

const A: &str = "6ee3c302-8689-5608-91c9-dbd77e9736dd";
const B: &str = "b713d10e-fbe1-5519-82dc-0f4cb8668dd9";

/// Flags, environment and file of one case.
#[derive(Default)]
struct Case {
    flags: Vec<&'static str>,
    env: Vec<(&'static str, &'static str)>,
    file: Option<String>,
}

impl Case {
    /// The least that is needed, so that a case says only what it is about.
    fn minimal() -> Self {
        Case {
            flags: vec![
                "--source=/in",
                "--org-id=org1",
                "--provider-uuid",
                A,
                "--from=2025-10-01",
                "--to=2025-10-31",
            ],
            ..Case::default()
        }
    }

    fn flags(mut self, flags: &[&'static str]) -> Self {
        self.flags.extend(flags);
        self
    }

    fn without(mut self, flag: &str) -> Self {
        self.flags.retain(|f| !f.starts_with(flag));
        self
    }

    fn env(mut self, env: &[(&'static str, &'static str)]) -> Self {
        self.env.extend(env);
        self
    }

    fn file(mut self, text: &str) -> Self {
        self.file = Some(text.to_owned());
        self
    }

    fn settle(&self) -> Result<Settled<Settings>, SettingsError> {
        let arguments = ["ocp-rollup", "run"].iter().chain(&self.flags);
        let Command::Run(flags) = Cli::try_parse_from(arguments).unwrap().command else { panic!() };
        let env: HashMap<_, _> = self.env.iter().copied().collect();
        let config =
            self.file.clone().map(|text| ConfigFile { path: PathBuf::from("c.yaml"), text });
        let today = "2025-11-10".parse().unwrap();
        settle(&*flags, &|name| env.get(name).map(|v| (*v).to_owned()), config.as_ref(), today)
    }

    #[track_caller]
    fn ok(&self) -> Settings {
        self.settle().unwrap().settings
    }

    #[track_caller]
    fn refused(&self, message: &str) {
        let error = self.settle().map(|s| format!("{s:?}")).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn defaults() {
    let settings = Case::minimal().ok();
    let expected = Settings {
        input: Input {
            source: "/in".to_owned(),
            layout: layout::koku(),
            org_id: "org1".to_owned(),
            s3: None,
            strict_duplicates: false,
        },
        from: day("2025-10-01"),
        to: day("2025-10-31"),
        provider_uuids: vec![A.parse().unwrap()],
        cluster_id: None,
        cluster_alias: None,
        report_period_id: None,
        lookups: LookupsFrom::Postgres,
        sink: SinkTo::Postgres,
        postgres: Postgres {
            host: "localhost".to_owned(),
            port: 5432,
            database: "koku".to_owned(),
            user: "koku".to_owned(),
            password: None,
            schema: "org1".to_owned(),
            sslmode: SslMode::Prefer,
            sslrootcert: None,
            session: Session {
                application_name: "ocp-rollup".to_owned(),
                statement_timeout: None,
                lock_timeout: None,
                lock_wait: Duration::from_secs(600),
                retry_for: Duration::from_secs(180),
            },
        },
        loading: Loading { connections: None, copy_buffer: 256 * 1024, bulk: BulkMode::Auto },
        performance: Performance {
            use_streaming: true,
            use_categorical: true,
            column_filtering: true,
            chunk_size: ChunkSize::Auto,
            threads: None,
            processes: None,
            worker_timeout: Duration::from_secs(60),
            memory_limit: None,
            spill_dir: std::env::temp_dir(),
            force_spill: None,
        },
        aggregation: Aggregation {
            pod_source: PodSource::Hourly,
            fan_out: FanOut::Koku,
            null_rules: NullRules::SelfHosted,
        },
        allow_empty: false,
        sharding: None,
        incremental: false,
        ledger: true,
        observe: Observe {
            progress: ProgressForm::Auto,
            interval: Duration::from_secs(10),
            metrics_file: None,
            metrics_listen: None,
            report: None,
        },
        logging: Logging { level: "info".to_owned(), format: LogFormat::Auto },
    };
    assert_eq!(settings, expected);
    assert_eq!(settings.months().len(), 1);
}

#[test]
fn times_of_a_connection() {
    let session = Case::minimal()
        .flags(&["--db-statement-timeout=90s", "--db-lock-timeout=off", "--db-lock-wait=500ms"])
        .flags(&["--db-retry-for=off"])
        .ok()
        .postgres
        .session;
    assert_eq!(session.statement_timeout, Some(Duration::from_secs(90)));
    assert_eq!(session.lock_timeout, Some(Duration::ZERO));
    assert_eq!(session.lock_wait, Duration::from_millis(500));
    assert_eq!(session.retry_for, Duration::ZERO);
    // A wait without an end would hide that nothing moves.
    Case::minimal().flags(&["--db-lock-wait=off"]).refused(
        "`--db-lock-wait` is `off`, but must be a time such as `90s`, `3min` or `500ms`, at most a \
         day",
    );
}

#[test]
fn only_days_in_postgresql_with_a_ledger_can_be_left_out() {
    let asked = || Case::minimal().flags(&["--incremental"]);
    assert!(asked().ok().incremental);
    let refusal = |lacks| {
        format!(
            "`--incremental` asks to leave out days whose input has not changed, which a ledger in \
             PostgreSQL tells, but {lacks}, or leave this out"
        )
    };
    asked().flags(&["--ledger=off"]).refused(&refusal("the ledger is off: turn it on"));
    let to_file = "the rows go to a file: use the sink `postgres`";
    asked().flags(&["--sink=csv:x.csv"]).refused(&refusal(to_file));
    assert!(!Case::minimal().flags(&["--sink=csv:x.csv", "--incremental=off"]).ok().incremental);
}

/// The same setting by flag, variable and file: a text, a number, a switch, a word and a date.
#[test]
fn flags_beat_the_environment_which_beats_the_file() {
    let file = "organization: {org_id: org3}\nocp: {start_date: 2025-10-03, cluster_id: c3}\n\
                performance: {max_workers: 3, use_streaming: false, memory_limit: 3MiB}\n\
                aggregation: {fan_out: collapse}\npostgresql: {port: 3, schema: s3}\n";
    let env = [
        ("OCP_ROLLUP_ORG_ID", "org2"),
        ("OCP_ROLLUP_FROM", "2025-10-02"),
        ("OCP_ROLLUP_CLUSTER_ID", "c2"),
        ("OCP_ROLLUP_THREADS", "2"),
        ("OCP_ROLLUP_STREAMING", "on"),
        ("OCP_ROLLUP_MEMORY_LIMIT", "2MiB"),
        ("OCP_ROLLUP_FAN_OUT", "koku"),
        ("OCP_ROLLUP_DB_PORT", "2"),
        ("OCP_ROLLUP_SCHEMA", "s2"),
    ];
    let flags = [
        "--org-id=org1",
        "--from=2025-10-01",
        "--cluster-id=c1",
        "--threads=1",
        "--streaming=off",
        "--memory-limit=1MiB",
        "--fan-out=collapse",
        "--db-port=1",
        "--schema=s1",
    ];
    let seen = |case: Case| {
        let s = case.ok();
        (
            s.input.org_id,
            s.from.to_string(),
            s.cluster_id.unwrap_or_default(),
            s.performance.threads,
            s.performance.use_streaming,
            s.performance.memory_limit.map(|bytes| bytes >> 20),
            s.aggregation.fan_out,
            s.postgres.port,
            s.postgres.schema,
        )
    };
    let as_given = |n: u16, streaming, fan_out| {
        (
            format!("org{n}"),
            format!("2025-10-0{n}"),
            format!("c{n}"),
            Some(usize::from(n)),
            streaming,
            Some(u64::from(n)),
            fan_out,
            n,
            format!("s{n}"),
        )
    };
    let base = || Case::minimal().without("--org-id").without("--from").file(file);
    assert_eq!(seen(base()), as_given(3, false, FanOut::Collapse));
    assert_eq!(seen(base().env(&env)), as_given(2, true, FanOut::Koku));
    assert_eq!(seen(base().env(&env).flags(&flags)), as_given(1, false, FanOut::Collapse));
}

#[test]
fn empty_variables_and_keys_are_absent() {
    let settings = Case::minimal()
        .env(&[("OCP_ROLLUP_CLUSTER_ID", ""), ("OCP_ROLLUP_CLUSTER_ALIAS", "")])
        .file("ocp: {cluster_id: from file, cluster_alias: '', report_period_id: '${NO:-}'}\n")
        .ok();
    assert_eq!(settings.cluster_id.as_deref(), Some("from file"));
    assert_eq!(settings.cluster_alias, None);
    assert_eq!(settings.report_period_id, None);
}

#[test]
fn names_of_koku_beat_those_of_the_proof_of_concept() {
    let env = [
        ("POSTGRES_HOST", "poc-host"),
        ("POSTGRES_PORT", "1"),
        ("POSTGRES_DATABASE", "poc-database"),
        ("POSTGRES_USER", "poc-user"),
        ("POSTGRES_PASSWORD", "poc-secret"),
        ("POSTGRES_SCHEMA", "poc_schema"),
    ];
    let postgres = Case::minimal().env(&env).ok().postgres;
    assert_eq!((postgres.host.as_str(), postgres.port), ("poc-host", 1));
    assert_eq!((postgres.database.as_str(), postgres.user.as_str()), ("poc-database", "poc-user"));
    assert_eq!(postgres.password, Some(Secret("poc-secret".to_owned())));
    assert_eq!(postgres.schema, "poc_schema");

    let koku = [
        ("DATABASE_SERVICE_HOST", "koku-host"),
        ("DATABASE_SERVICE_PORT", "2"),
        ("DATABASE_NAME", "koku-database"),
        ("DATABASE_USER", "koku-user"),
        ("DATABASE_PASSWORD", "koku-secret"),
    ];
    let settled = Case::minimal().env(&env).env(&koku).settle().unwrap();
    let postgres = settled.settings.postgres;
    assert_eq!((postgres.host.as_str(), postgres.port), ("koku-host", 2));
    assert_eq!(
        (postgres.database.as_str(), postgres.user.as_str()),
        ("koku-database", "koku-user")
    );
    assert_eq!(postgres.password, Some(Secret("koku-secret".to_owned())));
    let about_host = "the environment variable DATABASE_SERVICE_HOST is used for \
                      `postgresql.host`; POSTGRES_HOST has another value and is ignored";
    assert_eq!(settled.warnings.iter().filter(|w| *w == about_host).count(), 1);
    assert!(!settled.warnings.join("\n").contains("secret"));
}

#[test]
fn variables_of_the_proof_of_concept() {
    let settings = Case::default()
        .flags(&["--source=/in"])
        .env(&[
            ("OCP_PROVIDER_UUID", A),
            ("OCP_CLUSTER_ID", "c"),
            ("OCP_CLUSTER_ALIAS", "alias"),
            ("OCP_YEAR", "2024"),
            ("OCP_MONTH", "2"),
            ("ORG_ID", "org9"),
        ])
        .ok();
    assert_eq!(settings.provider_uuids, [A.parse::<Uuid>().unwrap()]);
    assert_eq!(settings.cluster_id.as_deref(), Some("c"));
    assert_eq!(settings.cluster_alias.as_deref(), Some("alias"));
    assert_eq!((settings.from, settings.to), (day("2024-02-01"), day("2024-02-29")));
    assert_eq!(settings.input.org_id, "org9");
}

#[test]
fn secrets_are_never_printed() {
    let case = Case::minimal()
        .without("--source")
        .flags(&["--source=s3://b"])
        .file("postgresql: {password: hunter2}\ns3: {access_key: hunter2, secret_key: hunter2}\n");
    let settled = case.settle().unwrap();
    assert_eq!(settled.settings.postgres.password, Some(Secret("hunter2".to_owned())));
    assert!(!format!("{settled:?} {settled:#?}").contains("hunter2"));
    let file = ConfigFile { path: "c.yaml".into(), text: "hunter2".to_owned() };
    assert!(!format!("{file:?}").contains("hunter2"));
    let error = case.file("postgresql: {password: {a: hunter2}}").settle().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
