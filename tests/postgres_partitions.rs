//! Partitions of the summary table: found, made, and never in the way of another run.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::sync::{Arc, Barrier};

use common::postgres::{Partitions, client_of, database};
use common::rows::{Batch, day, first_measure};
use ocp_rollup::database;
use ocp_rollup::settings::Postgres;
use ocp_rollup::sink::postgres::{PostgresError, PostgresSink};
use ocp_rollup::sink::{Sink, SinkError};
use ocp_rollup::summary::row::DayMeta;
use postgres::Client;
use uuid::Uuid;

const TABLE: &str = "reporting_ocpusagelineitem_daily_summary";

fn write(tenant: &Postgres, meta: DayMeta) -> Result<(), SinkError> {
    let meta = Arc::new(meta);
    let client = database::connect(tenant).unwrap();
    let mut sink = Box::new(PostgresSink::open(client, &tenant.schema)?);
    sink.begin_day(&meta)?;
    sink.write(&Batch::of(&meta).pod("new", None, first_measure(1.0)).build())?;
    sink.end_day()?;
    sink.finish()
}

/// `namespace:partition` of every row, without the table's own name.
fn places(client: &mut Client) -> Vec<String> {
    let query = format!(
        "SELECT namespace || ':' || replace(c.relname, '{TABLE}_', '') FROM {TABLE} t \
         JOIN pg_class c ON c.oid = t.tableoid ORDER BY usage_start, namespace"
    );
    client.query(&query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

fn put(client: &mut Client, day: &str, namespace: &str) {
    client
        .batch_execute(&format!(
            "INSERT INTO {TABLE} (uuid, usage_start, usage_end, report_period_id, namespace, \
             pod_labels, infrastructure_raw_cost) VALUES \
             (gen_random_uuid(), '{day}', '{day}', 1, '{namespace}', '{{\"a\": \"b\"}}', 1.5)"
        ))
        .unwrap();
}

#[test]
fn rows_in_the_default_partition_move_into_the_new_one() {
    for partitions in [Partitions::Plain, Partitions::Registry] {
        let database = database();
        let tenant = database.tenant("org1", partitions);
        let mut client = client_of(&tenant);
        put(&mut client, "2025-09-30", "before");
        put(&mut client, "2025-10-01", "first");
        put(&mut client, "2025-10-31", "last");
        put(&mut client, "2025-11-01", "after");
        write(&tenant, day("2025-10-10")).unwrap();
        assert_eq!(
            places(&mut client),
            ["before:default", "first:2025_10", "new:2025_10", "last:2025_10", "after:default"]
        );
        let kept = format!(
            "SELECT count(*) FROM {TABLE} \
             WHERE pod_labels = '{{\"a\": \"b\"}}' AND infrastructure_raw_cost = 1.5"
        );
        assert_eq!(client.query_one(&kept, &[]).unwrap().get::<_, i64>(0), 4);
    }
}

#[test]
fn the_registry_lists_the_partition_as_koku_would() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Registry);
    write(&tenant, day("2025-12-31")).unwrap();
    write(&tenant, day("2025-12-01")).unwrap();
    let mut client = client_of(&tenant);
    let listed: String = client
        .query_one("SELECT (to_jsonb(p) - 'id')::text FROM partitioned_tables p", &[])
        .unwrap()
        .get(0);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        listed,
        serde_json::json!({
            "schema_name": "org1",
            "table_name": format!("{TABLE}_2025_12"),
            "partition_of_table_name": TABLE,
            "partition_type": "range",
            "partition_col": "usage_start",
            "partition_parameters": {"default": false, "from": "2025-12-01", "to": "2026-01-01"},
            "active": true,
            "subpartition_type": null,
            "subpartition_col": null,
        })
    );
    // What Koku's retention does must work on it.
    client.batch_execute("DELETE FROM partitioned_tables").unwrap();
    assert_eq!(places(&mut client), [] as [&str; 0]);
}

#[test]
fn a_partition_of_any_name_that_holds_the_day_will_do() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Registry);
    let mut client = client_of(&tenant);
    client
        .batch_execute(&format!(
            "CREATE TABLE \"autumn's\" PARTITION OF {TABLE} FOR VALUES FROM ('2025-09-01') TO ('2025-12-01');
             CREATE TABLE earlier PARTITION OF {TABLE} FOR VALUES FROM (MINVALUE) TO ('2025-09-01');
             ALTER ROLE ocp IN DATABASE {} SET datestyle = 'SQL, DMY'",
            tenant.database
        ))
        .unwrap();
    write(&tenant, day("2025-10-02")).unwrap();
    write(&tenant, day("2020-03-04")).unwrap();
    assert_eq!(places(&mut client), ["new:earlier", "new:autumn's"]);
    // Its end is not in it.
    write(&tenant, day("2025-12-01")).unwrap();
    assert_eq!(places(&mut client)[2], "new:2025_12");
}

#[test]
fn a_table_without_partitions_or_without_a_default_works() {
    let database = database();
    let plain = database.tenant("plain", Partitions::Plain);
    let mut client = client_of(&plain);
    client
        .batch_execute(&format!(
            "CREATE TABLE flat (LIKE {TABLE}); DROP TABLE {TABLE}; ALTER TABLE flat RENAME TO {TABLE}"
        ))
        .unwrap();
    write(&plain, day("2025-10-10")).unwrap();
    write(&plain, day("2025-10-10")).unwrap();
    let rows = client.query(&format!("SELECT 1 FROM {TABLE}"), &[]).unwrap().len();
    assert_eq!(rows, 1);

    let tenant = database.tenant("nodefault", Partitions::Plain);
    let mut client = client_of(&tenant);
    client.batch_execute(&format!("DROP TABLE {TABLE}_default")).unwrap();
    write(&tenant, day("2025-10-10")).unwrap();
    assert_eq!(places(&mut client), ["new:2025_10"]);
}

#[test]
fn runs_that_make_the_same_partition_at_once_all_succeed() {
    for partitions in [Partitions::Plain, Partitions::Registry] {
        let database = database();
        let tenant = database.tenant("org1", partitions);
        let mut client = client_of(&tenant);
        put(&mut client, "2025-10-03", "old");
        let runs = 6;
        let barrier = Arc::new(Barrier::new(runs));
        let threads: Vec<_> = (0..runs)
            .map(|i| {
                let (tenant, barrier) = (tenant.clone(), Arc::clone(&barrier));
                std::thread::spawn(move || {
                    let period = i32::try_from(i).unwrap() + 10;
                    let source_uuid = Uuid::from_u128(i as u128);
                    barrier.wait();
                    let meta = day("2025-10-03");
                    write(&tenant, DayMeta { report_period_id: Some(period), source_uuid, ..meta })
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
        let places = places(&mut client);
        assert_eq!(places.iter().filter(|place| *place == "new:2025_10").count(), runs);
        assert_eq!(places.last().unwrap(), "old:2025_10");
        assert_eq!(places.len(), runs + 1);
    }
}

#[test]
fn a_partition_made_by_someone_else_meanwhile_is_used() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Registry);
    let mut koku = client_of(&tenant);
    let mut making = koku.transaction().unwrap();
    making
        .execute(
            "INSERT INTO partitioned_tables (schema_name, table_name, partition_of_table_name, \
             partition_type, partition_col, partition_parameters, active) VALUES ('org1', \
             'reporting_ocpusagelineitem_daily_summary_2025_10', \
             'reporting_ocpusagelineitem_daily_summary', 'range', 'usage_start', \
             '{\"default\": false, \"from\": \"2025-10-01\", \"to\": \"2025-11-01\"}', true)",
            &[],
        )
        .unwrap();
    let run = std::thread::spawn({
        let tenant = tenant.clone();
        move || write(&tenant, day("2025-10-10"))
    });
    let mut watcher = database.client();
    let waiting = "SELECT 1 FROM pg_locks WHERE NOT granted";
    while watcher.query(waiting, &[]).unwrap().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    making.commit().unwrap();
    run.join().unwrap().unwrap();
    assert_eq!(places(&mut koku), ["new:2025_10"]);
}

#[test]
fn a_detached_partition_is_named_and_nothing_is_moved() {
    for partitions in [Partitions::Plain, Partitions::Registry] {
        let database = database();
        let tenant = database.tenant("org1", partitions);
        let mut client = client_of(&tenant);
        write(&tenant, day("2025-10-10")).unwrap();
        let detach = match partitions {
            Partitions::Plain => format!("ALTER TABLE {TABLE} DETACH PARTITION {TABLE}_2025_10"),
            Partitions::Registry => "UPDATE partitioned_tables SET active = false".to_owned(),
        };
        client.batch_execute(&detach).unwrap();
        put(&mut client, "2025-10-11", "default");
        let error = write(&tenant, day("2025-10-12")).unwrap_err();
        let SinkError::Postgres(PostgresError::PartitionTaken { name, .. }) = &error else {
            panic!("{error:?}");
        };
        assert_eq!(name, &format!("{TABLE}_2025_10"));
        assert_eq!(places(&mut client), ["default:default"]);
    }
}

#[test]
fn a_registry_that_makes_nothing_is_told_and_left_as_it_was() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Registry);
    let mut client = client_of(&tenant);
    client.batch_execute("DROP TRIGGER manage_partition ON partitioned_tables").unwrap();
    put(&mut client, "2025-10-11", "default");
    let error = write(&tenant, day("2025-10-12")).unwrap_err();
    let not_made = matches!(error, SinkError::Postgres(PostgresError::PartitionNotMade { .. }));
    assert!(not_made, "{error:?}");
    assert_eq!(places(&mut client), ["default:default"]);
    assert!(client.query("SELECT 1 FROM partitioned_tables", &[]).unwrap().is_empty());
}

#[test]
fn a_partition_that_covers_part_of_the_month_is_not_silently_passed() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Plain);
    let mut client = client_of(&tenant);
    client
        .batch_execute(&format!(
            "CREATE TABLE half PARTITION OF {TABLE} FOR VALUES FROM ('2025-10-15') TO ('2025-11-01')"
        ))
        .unwrap();
    let error = write(&tenant, day("2025-10-03")).unwrap_err();
    let chain = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(chain.contains(&format!("{TABLE}_2025_10")) && chain.contains("half"), "{chain}");
}
