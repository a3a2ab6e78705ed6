//! Whole config files: that of the proof of concept, and our own.

use super::*;
use crate::cli::NoFlags;
use crate::cli::run::RunFlags;
use crate::settings::config::Document;

/// Its keys, its order, its way with variables; the values are made up.
const POC_FILE: &str = r#"
features: {cost_category: true, storage_aggregation: false}
logging:
  format: console
  level: ${LOG_LEVEL:-INFO}
  show_sql: false
organization:
  org_id: ${ORG_ID:-org7654321}
ocp:
  cluster_alias: ${OCP_CLUSTER_ALIAS:-Some Cluster}
  cluster_id: ${OCP_CLUSTER_ID}
  start_date: ${OCP_START_DATE:-2025-11-01}
  end_date: ${OCP_END_DATE:-2025-11-30}
  year: ${OCP_YEAR:-2025}
  month: ${OCP_MONTH:-11}
  parquet_path_pod: data/${ORG_ID}/OCP/source={provider_uuid}/year={year}/month={month}/*/openshift_pod_usage_line_items
  parquet_path_storage: data/${ORG_ID}/OCP/source={provider_uuid}/year={year}/month={month}/*/openshift_storage_usage_line_items
  parquet_path_node_labels: data/${ORG_ID}/OCP/source={provider_uuid}/year={year}/month={month}/*/openshift_node_labels_line_items
  parquet_path_namespace_labels: data/${ORG_ID}/OCP/source={provider_uuid}/year={year}/month={month}/*/openshift_namespace_labels_line_items
  provider_uuid: ${OCP_PROVIDER_UUID}
  report_period_id: "1"
performance:
  chunk_size: 100000
  column_filtering: true
  db_batch_size: 1000
  delete_intermediate_dfs: true
  gc_after_aggregation: true
  intern_strings: true
  max_memory_gb: 2
  max_workers: 4
  parallel_chunks: true
  parallel_readers: 4
  use_arrow_compute: true
  use_bulk_copy: true
  use_categorical: true
  use_streaming: false
postgresql:
  database: ${POSTGRES_DB:-koku}
  host: ${POSTGRES_HOST:-db.example}
  password: ${POSTGRES_PASSWORD}
  port: ${POSTGRES_PORT:-5432}
  schema: ${POSTGRES_SCHEMA:-org7654321}
  user: ${POSTGRES_USER:-koku}
s3:
  access_key: ${S3_ACCESS_KEY}
  bucket: ${S3_BUCKET:-cost-management}
  endpoint: ${S3_ENDPOINT}
  region: us-east-1
  secret_key: ${S3_SECRET_KEY}
  use_ssl: true
  verify_ssl: false
validation: {enabled: true, tolerance: 0.0001, trino: {port: 8080}}
"#;

fn poc_case() -> Case {
    Case::default().file(POC_FILE).env(&[
        ("ORG_ID", "org7654321"),
        ("OCP_PROVIDER_UUID", A),
        ("OCP_CLUSTER_ID", "cluster"),
        ("POSTGRES_PASSWORD", "p"),
        ("S3_ENDPOINT", "http://minio:9000"),
        ("S3_ACCESS_KEY", "a"),
        ("S3_SECRET_KEY", "s"),
    ])
}

#[test]
fn the_file_of_the_proof_of_concept_loads_unchanged() {
    let Settled { settings, warnings } = poc_case().settle().unwrap();
    assert_eq!(settings.input.source, "s3://cost-management");
    let s3 = settings.input.s3.clone().unwrap();
    assert_eq!(s3.endpoint.as_deref(), Some("http://minio:9000"));
    assert!(s3.use_ssl && !s3.verify_ssl);
    assert_eq!((settings.from, settings.to), (day("2025-11-01"), day("2025-11-30")));
    assert_eq!(settings.cluster_alias.as_deref(), Some("Some Cluster"));
    assert_eq!(settings.report_period_id, Some(1));
    assert_eq!(settings.performance.chunk_size, ChunkSize::Rows(100_000));
    assert_eq!(settings.performance.threads, Some(4));
    assert_eq!(settings.performance.memory_limit, Some(2 << 30));
    assert!(!settings.performance.use_streaming);
    assert_eq!(settings.logging, Logging { level: "info".to_owned(), format: LogFormat::Human });
    assert_eq!(settings.postgres.host, "db.example");

    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    let start = "c.yaml: these keys have no effect here: features.cost_category, ";
    assert!(warnings[0].starts_with(start), "{}", warnings[0]);
    for key in ["logging.show_sql", "performance.db_batch_size", "validation.trino.port"] {
        assert!(warnings[0].contains(key), "{key}: {}", warnings[0]);
    }
    assert!(warnings[1].contains("s3.verify_ssl"), "{}", warnings[1]);
}

#[test]
fn paths_of_the_proof_of_concept_match_its_files() {
    let input = poc_case().ok().input;
    assert_eq!(input.layout.daily, None);
    let months = [Month::new(2025, 11).unwrap()];
    let source = A.parse().unwrap();
    let pods = PathMatcher::new(&input.layout.hourly.pod_usage, &input.org_id, source, &months);
    let at = format!("data/org7654321/OCP/source={A}/year=2025/month=11");
    assert_eq!(pods.prefixes(), [format!("{at}/")]);
    assert!(pods.matches(&format!("{at}/day=01/openshift_pod_usage_line_items/a.parquet")));
    assert!(!pods.matches(&format!("{at}/day=01/openshift_pod_usage_line_items_daily/a.parquet")));
    assert!(!pods.matches(&format!("{at}/day=01/openshift_node_labels_line_items/a.parquet")));

    // A flag beats the paths of the file.
    assert_eq!(poc_case().flags(&["--layout=koku"]).ok().input.layout, layout::koku());

    let daily = POC_FILE.replace("pod_usage_line_items", "pod_usage_line_items_daily");
    let layout = poc_case().file(&daily).ok().input.layout;
    assert_eq!(layout.hourly, input.layout.hourly);
    assert!(layout.daily.unwrap().pod_usage.ends_with("/openshift_pod_usage_line_items_daily*/"));

    let partial = POC_FILE.replace("  parquet_path_storage:", "  #");
    poc_case().file(&partial).refused(
        "no path for one of the four report types: give `ocp.parquet_path_storage` beside the \
         other `ocp.parquet_path_…` keys, or `input.layout` alone",
    );
    poc_case().file(&POC_FILE.replace("source={provider_uuid}", "source=x")).refused(
        "`ocp.parquet_path_pod` in c.yaml is \
         `data/org7654321/OCP/source=x/year={year}/month={month}/*/openshift_pod_usage_line_items`: \
         it must hold `{uuid}`, or other sources would be counted too",
    );
}

#[test]
fn our_own_file_holds_every_key_with_its_default() {
    let text = include_str!("../../../config/config.yaml");
    let file = ConfigFile { path: "config/config.yaml".into(), text: text.to_owned() };
    let document = Document::parse(&file).unwrap();
    for key in keys::ALL {
        assert!(document.get(key.path).is_some(), "`{}` is not in the file", key.path);
        if let Some(flag) = key.flag {
            assert!(text.contains(&format!("--{flag}")), "--{flag} is not in the file");
        }
        for variable in key.env {
            assert!(text.contains(variable), "{variable} is not in the file");
        }
    }
    assert!(document.without_effect.is_empty());

    let with = Case::minimal().file(text).settle().unwrap();
    assert_eq!(with, Case::minimal().settle().unwrap());
    let s3 = || Case::minimal().without("--source").env(&[("S3_BUCKET", "b")]);
    assert_eq!(s3().file(text).settle().unwrap(), s3().settle().unwrap());
}

#[test]
fn database_and_logging_alone() {
    let file = ConfigFile { path: "c.yaml".into(), text: POC_FILE.to_owned() };
    let env = |name: &str| (name == "POSTGRES_PASSWORD").then(|| "p".to_owned());
    let (postgres, logging) = settle_database(&NoFlags, &env, Some(&file)).unwrap().settings;
    assert_eq!((postgres.schema.as_str(), postgres.host.as_str()), ("org7654321", "db.example"));
    assert_eq!(logging.format, LogFormat::Human);
    assert_eq!(settle_logging(&NoFlags, &env, None).unwrap().settings.level, "info");
    let error = settle_database(&RunFlags::default(), &env, None).unwrap_err();
    assert!(error.to_string().starts_with("no schema of the tenant"), "{error}");
}
