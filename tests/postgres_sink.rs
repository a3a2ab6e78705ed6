//! The summary table as PostgreSQL itself reads it back.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::sync::Arc;

use common::postgres::{Partitions, client_of, database};
use common::rows::{Batch, SOURCE, day, first_measure};
use ocp_rollup::database::{self, DatabaseError};
use ocp_rollup::settings::Postgres;
use ocp_rollup::sink::postgres::{PostgresError, PostgresSink};
use ocp_rollup::sink::{Sink, SinkError};
use ocp_rollup::summary::row::{DayMeta, RowBatch};
use postgres::Client;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

const TABLE: &str = "reporting_ocpusagelineitem_daily_summary";

fn open(tenant: &Postgres) -> Box<PostgresSink> {
    Box::new(try_open(tenant).unwrap())
}

fn try_open(tenant: &Postgres) -> Result<PostgresSink, PostgresError> {
    PostgresSink::open(database::connect(tenant).unwrap(), &tenant.schema)
}

fn replace(tenant: &Postgres, meta: &Arc<DayMeta>, batches: &[RowBatch]) -> Result<(), SinkError> {
    let mut sink = open(tenant);
    sink.begin_day(meta)?;
    for batch in batches {
        sink.write(batch)?;
    }
    sink.end_day()?;
    sink.finish()
}

fn fault<T: std::fmt::Debug>(result: Result<T, SinkError>) -> PostgresError {
    match result.unwrap_err() {
        SinkError::Postgres(error) => error,
        other => panic!("{other:?}"),
    }
}

/// One value of the first column of a query's only row, as text.
fn value(client: &mut Client, query: &str) -> Option<String> {
    client.query_one(&format!("SELECT ({query})::text"), &[]).unwrap().get(0)
}

fn count(client: &mut Client, condition: &str) -> i64 {
    client
        .query_one(&format!("SELECT count(*) FROM {TABLE} WHERE {condition}"), &[])
        .unwrap()
        .get(0)
}

fn one_row(meta: &Arc<DayMeta>, namespace: &str) -> [RowBatch; 1] {
    [Batch::of(meta).pod(namespace, Some("{}"), first_measure(1.0)).build()]
}

/// Puts an old row in, as another run or a later step of Koku left it.
fn put(client: &mut Client, day: &str, period: i32, source: Uuid, namespace: &str, raw: &str) {
    client
        .batch_execute(&format!(
            "INSERT INTO {TABLE} (uuid, usage_start, usage_end, report_period_id, source_uuid, \
             namespace, infrastructure_raw_cost) VALUES \
             (gen_random_uuid(), '{day}', '{day}', {period}, '{source}', '{namespace}', {raw})"
        ))
        .unwrap();
}

#[test]
fn every_column_reads_back_as_it_was() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Plain);
    let meta = Arc::new(day("2025-10-10"));
    let mut measures = [0.0; 14];
    for (i, measure) in measures.iter_mut().enumerate() {
        *measure = i as f64 + 0.5;
    }
    measures[3] = f64::NAN;
    let labels = r#"{"a\"b":"ü\\\t日本","z":"\\u0000 🦀"}"#;
    let batch = Batch::of(&meta)
        .pod("shop", Some(labels), measures)
        .category(3)
        .storage("shop", "claim's", r#"{"v":"1"}"#, [1.25, f64::NAN, 0.0, -2.0])
        .unallocated("Worker unallocated", first_measure(-1.5))
        .build();
    replace(&tenant, &meta, &[batch]).unwrap();

    let mut client = client_of(&tenant);
    let row = |client: &mut Client, condition: &str| -> serde_json::Value {
        let query = format!("SELECT to_jsonb(t) - 'uuid' FROM {TABLE} t WHERE {condition}");
        serde_json::from_str(&value(client, &query).unwrap()).unwrap()
    };
    let pod = row(&mut client, "namespace = 'shop' AND data_source = 'Pod'");
    let text = |value: &serde_json::Value, key: &str| value[key].to_string();
    assert_eq!(pod["pod_labels"], serde_json::from_str::<serde_json::Value>(labels).unwrap());
    assert_eq!(pod["all_labels"], pod["pod_labels"]);
    assert_eq!(pod["source_uuid"], SOURCE.to_string());
    assert_eq!(pod["cluster_alias"], "Cluster One");
    assert_eq!(text(&pod, "report_period_id"), "1");
    assert_eq!(text(&pod, "cost_category_id"), "3");
    assert_eq!(
        (&pod["usage_start"], &pod["usage_end"]),
        (&"2025-10-10".into(), &"2025-10-10".into())
    );
    for (i, name) in ocp_rollup::summary::columns::POD_MEASURES.iter().enumerate() {
        match i {
            3 => assert!(pod[name].is_null(), "{name}"),
            _ => assert_eq!(pod[name].as_f64(), Some(i as f64 + 0.5), "{name}"),
        }
    }
    for name in ["volume_labels", "persistentvolumeclaim", "resource_id", "raw_currency"] {
        assert!(pod[name].is_null(), "{name}");
    }
    let storage = row(&mut client, "data_source = 'Storage'");
    assert_eq!(storage["persistentvolumeclaim"], "claim's");
    assert_eq!(storage["persistentvolumeclaim_capacity_gigabyte"].as_f64(), Some(1.25));
    assert!(storage["persistentvolumeclaim_capacity_gigabyte_months"].is_null());
    assert_eq!(storage["persistentvolumeclaim_usage_gigabyte_months"].as_f64(), Some(-2.0));
    assert!(storage["node"].is_null() && storage["pod_labels"].is_null());
    assert_eq!(storage["all_labels"]["v"], "1");
    let rest = row(&mut client, "namespace = 'Worker unallocated'");
    assert_eq!(rest["all_labels"], serde_json::json!({}));
    assert!(rest["infrastructure_usage_cost"].is_null() && rest["pod_labels"].is_null());
    // The costs keep the nine decimals they are written with.
    let cost = value(
        &mut client,
        &format!(
            "SELECT DISTINCT infrastructure_usage_cost FROM {TABLE} WHERE infrastructure_usage_cost IS NOT NULL"
        ),
    );
    assert_eq!(
        cost.unwrap(),
        r#"{"cpu": 0.000000000, "memory": 0.000000000, "storage": 0.000000000}"#
    );
    assert_eq!(
        value(&mut client, &format!("SELECT count(DISTINCT uuid) FROM {TABLE}")).unwrap(),
        "3"
    );
}

/// Writes `values` as the first measure of rows named by their place, and compares what is read
/// with what PostgreSQL makes of each double's own decimal text.
fn check_numerics(tenant: &Postgres, values: &[f64]) {
    let meta = Arc::new(day("2025-10-10"));
    let mut batch = Batch::of(&meta);
    for (i, value) in values.iter().enumerate() {
        batch = batch.pod(&i.to_string(), None, first_measure(*value));
    }
    replace(tenant, &meta, &[batch.build()]).unwrap();
    let mut client = client_of(tenant);
    let rows = client
        .query(
            &format!(
                "SELECT d.text, n.pod_usage_cpu_core_hours::text, d.text::numeric(33,15)::text \
                 FROM unnest($1::text[]) WITH ORDINALITY d(text, i) \
                 LEFT JOIN {TABLE} n ON n.namespace = (d.i - 1)::text"
            ),
            &[&values.iter().map(f64::to_string).collect::<Vec<_>>()],
        )
        .unwrap();
    assert_eq!(rows.len(), values.len());
    for row in rows {
        let (text, read, expected): (String, Option<String>, String) =
            (row.get(0), row.get(1), row.get(2));
        assert_eq!(read, Some(expected), "{text}");
    }
}

#[test]
fn numerics_at_the_edges_are_exact() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Plain);
    let known = [
        (0.1, "0.100000000000000"),
        (-0.0, "0.000000000000000"),
        (5e-16, "0.000000000000001"),
        (-5e-16, "-0.000000000000001"),
        (4.9e-16, "0.000000000000000"),
        (-1e-300, "0.000000000000000"),
        (1e17, "100000000000000000.000000000000000"),
        (-999_999_999_999_999_872.0, "-999999999999999900.000000000000000"),
        (9999.9999, "9999.999900000000000"),
        (10000.0, "10000.000000000000000"),
        (0.0001, "0.000100000000000"),
        (13.617534999999998, "13.617534999999998"),
    ];
    let values: Vec<f64> = known.iter().map(|(value, _)| *value).collect();
    check_numerics(&tenant, &values);
    let mut client = client_of(&tenant);
    for (i, (value, expected)) in known.iter().enumerate() {
        let query = format!("SELECT pod_usage_cpu_core_hours FROM {TABLE} WHERE namespace = '{i}'");
        let read = self::value(&mut client, &query);
        assert_eq!(read.as_deref(), Some(*expected), "{value:e}");
    }
}

#[test]
fn any_double_becomes_its_own_decimal() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Plain);
    // Powers of ten spread over all the magnitudes that matter, and any bits at all.
    let spread = (-1e18f64..1e18, -20i32..=0).prop_map(|(value, e)| value * 10f64.powi(e * 2));
    let bits = any::<f64>().prop_filter("fits", |value| value.abs() < 1e18);
    let ties = (0u32..2_000_000).prop_map(|n| (f64::from(n) + 0.5) * 1e-15);
    let one = prop_oneof![4 => spread, 2 => bits, 1 => ties, 1 => Just(f64::from_bits(1))];
    let mut runner =
        TestRunner::new(Config { cases: 4, failure_persistence: None, ..Config::default() });
    runner
        .run(&prop::collection::vec(one, 600), |values| {
            check_numerics(&tenant, &values);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_value_that_does_not_fit_is_named_before_postgresql_is_asked() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Plain);
    let meta = Arc::new(day("2025-10-10"));
    let refuse = |batch: Batch| {
        let error = fault(replace(&tenant, &meta, &[batch.build()]));
        assert!(matches!(error, PostgresError::Unstorable { .. }), "{error:?}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        format!("{error}: {source}")
    };
    let message = refuse(Batch::of(&meta).pod("shop", None, first_measure(1e18)));
    for part in ["`shop`", "`node-1`", "`pod_usage_cpu_core_hours`", "1e18", "2025-10-10"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let message = refuse(Batch::of(&meta).pod(&"n".repeat(254), None, first_measure(1.0)));
    for part in ["`namespace`", "nnnn…", "253 characters"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let message = refuse(Batch::of(&meta).pod("a\0b", None, first_measure(1.0)));
    assert!(message.contains("`namespace`") && message.contains("NUL"), "{message}");
    let message =
        refuse(Batch::of(&meta).pod("shop", Some(r#"{"k":"\u0000"}"#), first_measure(1.0)));
    assert!(message.contains("`pod_labels`") && message.contains("NUL"), "{message}");
    // What fits in characters but not in bytes is fine.
    replace(&tenant, &meta, &one_row(&meta, &"ü".repeat(253))).unwrap();
}

#[test]
fn only_rows_of_the_period_and_day_without_raw_cost_give_way() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Plain);
    let mut client = client_of(&tenant);
    let other = Uuid::from_u128(0x2222);
    put(&mut client, "2025-10-10", 1, SOURCE, "null-cost", "NULL");
    put(&mut client, "2025-10-10", 1, SOURCE, "zero-cost", "0");
    put(&mut client, "2025-10-10", 1, other, "other-source", "0.000");
    put(&mut client, "2025-10-10", 1, SOURCE, "raw-cost", "0.01");
    put(&mut client, "2025-10-10", 2, SOURCE, "other-period", "NULL");
    put(&mut client, "2025-10-09", 1, SOURCE, "day-before", "NULL");
    put(&mut client, "2025-10-11", 1, SOURCE, "day-after", "NULL");
    let meta = Arc::new(day("2025-10-10"));
    replace(&tenant, &meta, &one_row(&meta, "new")).unwrap();
    replace(&tenant, &meta, &one_row(&meta, "new")).unwrap();
    let query = format!("SELECT string_agg(namespace, ' ' ORDER BY namespace) FROM {TABLE}");
    assert_eq!(
        value(&mut client, &query).unwrap(),
        "day-after day-before new other-period raw-cost"
    );
}

#[test]
fn readers_see_the_old_rows_until_the_commit() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Plain);
    let meta = Arc::new(day("2025-10-10"));
    replace(&tenant, &meta, &one_row(&meta, "old")).unwrap();
    let mut reader = client_of(&tenant);
    let mut sink = open(&tenant);
    sink.begin_day(&meta).unwrap();
    for batch in one_row(&meta, "new") {
        sink.write(&batch).unwrap();
    }
    assert_eq!(count(&mut reader, "namespace = 'old'"), 1);
    assert_eq!(count(&mut reader, "namespace = 'new'"), 0);
    sink.end_day().unwrap();
    assert_eq!(count(&mut reader, "namespace = 'old'"), 0);
    assert_eq!(count(&mut reader, "namespace = 'new'"), 1);
}

#[test]
fn a_day_not_ended_leaves_no_trace() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Plain);
    let meta = Arc::new(day("2025-10-10"));
    replace(&tenant, &meta, &one_row(&meta, "old")).unwrap();
    let mut reader = client_of(&tenant);

    let mut sink = open(&tenant);
    sink.begin_day(&meta).unwrap();
    sink.write(&one_row(&meta, "new")[0]).unwrap();
    drop(sink);
    assert_eq!(count(&mut reader, "namespace = 'old'"), 1);

    // A fault in the second batch takes the first with it, and the sink can go on.
    let mut sink = open(&tenant);
    sink.begin_day(&meta).unwrap();
    sink.write(&one_row(&meta, "new")[0]).unwrap();
    assert!(sink.write(&one_row(&meta, "bad\0")[0]).is_err());
    assert!(matches!(fault(sink.end_day()), PostgresError::OutOfOrder { .. }));
    assert_eq!((count(&mut reader, "true"), count(&mut reader, "namespace = 'old'")), (1, 1));
    sink.begin_day(&meta).unwrap();
    sink.write(&one_row(&meta, "newer")[0]).unwrap();
    sink.end_day().unwrap();
    sink.finish().unwrap();
    assert_eq!((count(&mut reader, "true"), count(&mut reader, "namespace = 'newer'")), (1, 1));
}

#[test]
fn rows_of_another_day_are_refused() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Plain);
    let (meta, other) = (Arc::new(day("2025-10-10")), Arc::new(day("2025-10-11")));
    let error = fault(replace(&tenant, &meta, &one_row(&other, "stray")));
    assert!(matches!(error, PostgresError::OutOfOrder { .. }), "{error:?}");
}

#[test]
fn a_second_run_of_a_source_waits_and_deletes_what_the_first_wrote() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Plain);
    let meta = Arc::new(day("2025-10-10"));
    let mut client = client_of(&tenant);
    // A snapshot from before the wait would miss the first run's rows.
    let user = "ALTER ROLE ocp IN DATABASE";
    let name = &tenant.database;
    client
        .batch_execute(&format!(
            "{user} {name} SET default_transaction_isolation = 'repeatable read'"
        ))
        .unwrap();
    let mut first = open(&tenant);
    first.begin_day(&meta).unwrap();
    first.write(&one_row(&meta, "first")[0]).unwrap();
    let second = std::thread::spawn({
        let (tenant, meta) = (tenant.clone(), Arc::clone(&meta));
        move || replace(&tenant, &meta, &one_row(&meta, "second"))
    });
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    while value(&mut client, waiting).unwrap() == "0" {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    first.end_day().unwrap();
    second.join().unwrap().unwrap();
    assert_eq!((count(&mut client, "true"), count(&mut client, "namespace = 'second'")), (1, 1));
}

#[test]
fn a_large_day_goes_through_in_several_batches() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Plain);
    let meta = Arc::new(day("2025-10-10"));
    let mut batch = Batch::of(&meta);
    for i in 0..3000 {
        batch = batch.pod(&format!("ns-{i}"), Some(r#"{"app":"x"}"#), [1.0 / 3.0; 14]);
    }
    let batch = batch.build();
    let empty = Batch::of(&meta).build();
    replace(&tenant, &meta, &[batch.clone(), empty, batch]).unwrap();
    let mut client = client_of(&tenant);
    assert_eq!(count(&mut client, "pod_limit_cpu_core_hours = 0.333333333333333"), 6000);
}

#[test]
fn a_day_without_a_report_period_says_what_to_do() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Plain);
    let meta = Arc::new(DayMeta { report_period_id: None, ..day("2025-10-10") });
    let message = fault(replace(&tenant, &meta, &[])).to_string();
    assert!(message.contains("--report-period-id"), "{message}");
}

#[test]
fn texts_that_look_like_sql_are_texts() {
    let tenant = database().tenant("org1", Partitions::Plain);
    let meta = Arc::new(day("2025-10-10"));
    let texts = [
        format!("'; DROP TABLE {TABLE}; --"),
        format!("\"); DROP TABLE {TABLE}; --"),
        "$$; SELECT pg_sleep(3600); $$".to_owned(),
        "\\N\t\\.\nCOMMIT;\n".to_owned(),
        "%s {} $1 :name".to_owned(),
    ];
    let rows = texts.iter().fold(Batch::of(&meta), |batch, text| {
        let labels = serde_json::json!({ text.as_str(): text }).to_string();
        batch.pod(text, Some(&labels), first_measure(1.0)).storage("shop", text, &labels, [1.0; 4])
    });
    replace(&tenant, &meta, &[rows.build()]).unwrap();
    let mut client = client_of(&tenant);
    for text in &texts {
        let query = format!(
            "SELECT count(*) FROM {TABLE} WHERE (namespace = $1 OR persistentvolumeclaim = $1) \
             AND all_labels = jsonb_build_object($1::text, $1::text)"
        );
        let found: i64 = client.query_one(&query, &[text]).unwrap().get(0);
        assert_eq!(found, 2, "{text}");
    }
    assert_eq!(count(&mut client, "true"), 2 * texts.len() as i64);
}

#[test]
fn a_schema_of_any_name_works() {
    let database = database();
    for partitions in [Partitions::Plain, Partitions::Registry] {
        let schema = format!("we\"ird 'Schema' {}", partitions == Partitions::Plain);
        let tenant = database.tenant(&schema, partitions);
        let meta = Arc::new(day("2025-10-10"));
        replace(&tenant, &meta, &one_row(&meta, "new")).unwrap();
        let mut client = client_of(&tenant);
        assert_eq!(count(&mut client, "true"), 1);
        assert_eq!(
            value(&mut client, &format!("SELECT tableoid::regclass FROM {TABLE}")).unwrap(),
            format!("{TABLE}_2025_10")
        );
    }
}

#[test]
fn a_lost_connection_is_told_from_a_refusal() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Plain);
    let meta = Arc::new(day("2025-10-10"));
    replace(&tenant, &meta, &one_row(&meta, "old")).unwrap();
    let mut client = client_of(&tenant);
    let kill = |client: &mut Client| {
        client
            .batch_execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .unwrap();
    };
    let mut sink = open(&tenant);
    sink.begin_day(&meta).unwrap();
    kill(&mut client);
    let error = fault(sink.write(&one_row(&meta, "new")[0]));
    let lost = matches!(error, PostgresError::Database(DatabaseError::ConnectionLost { .. }));
    assert!(lost, "{error:?}");

    let mut sink = open(&tenant);
    sink.begin_day(&meta).unwrap();
    sink.write(&one_row(&meta, "new")[0]).unwrap();
    kill(&mut client);
    let error = fault(sink.end_day());
    assert!(matches!(error, PostgresError::CommitUnknown { .. }), "{error:?}");
    assert_eq!(count(&mut client, "namespace = 'old'"), 1);
}
