//! The PostgreSQL side of `verify`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::fs;
use std::path::Path;

use common::postgres::database;
use ocp_rollup::summary::columns::{COLUMNS, ColumnType};
use ocp_rollup::verify::{Database, Filter, Options, Table, compare, load};
use postgres::Client;

/// An identifier that only works quoted.
const SCHEMA: &str = "Verify \"test\"";

fn sql_type(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Integer => "integer",
        ColumnType::Text => "text",
        ColumnType::Date => "date",
        ColumnType::Numeric => "numeric(33,15)",
        ColumnType::Json => "jsonb",
        ColumnType::Uuid => "uuid",
    }
}

#[test]
fn the_table_equals_what_was_copied_into_it() {
    let mut client = database().client();
    let schema = "\"Verify \"\"test\"\"\"";
    let table = format!("{schema}.reporting_ocpusagelineitem_daily_summary");
    let columns: Vec<String> = COLUMNS
        .iter()
        .filter(|c| !c.staging_only)
        .map(|c| format!("{} {}", c.name, sql_type(c.column_type)))
        .collect();
    client
        .batch_execute(&format!(
            "DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; CREATE TABLE {table} \
             (uuid uuid DEFAULT gen_random_uuid(), {}); SET datestyle = 'German'",
            columns.join(", ")
        ))
        .unwrap();
    let csv = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/verify/adv_a_label_changes/expected.csv");
    let content = fs::read(&csv).unwrap();
    let header = String::from_utf8_lossy(&content).lines().next().unwrap().to_owned();
    let mut copy = client
        .copy_in(&format!("COPY {table} ({header}) FROM STDIN (FORMAT csv, HEADER, NULL '\\N')"))
        .unwrap();
    std::io::Write::write_all(&mut copy, &content).unwrap();
    copy.finish().unwrap();

    let filter = Filter::default();
    let left = load(&Table::Csv(csv.clone()), &filter, None).unwrap();
    let read = |client: &mut Client, filter: &Filter| {
        load(&Table::Postgres, filter, Some(Database { client, schema: SCHEMA })).unwrap()
    };
    let report = compare(&left, &read(&mut client, &filter), &Options::default());
    assert!(report.is_equal(), "{}\n{:#?}", report.summary(), report.differences);
    assert_eq!((report.equal_rows, report.columns.len()), (40, 57));
    assert!(report.only_left.is_empty() && report.only_right.is_empty());

    let later = Filter { from: "2025-10-11".parse().ok(), ..Filter::default() };
    let left = load(&Table::Csv(csv), &later, None).unwrap();
    let right = read(&mut client, &later);
    assert!(right.len() < 40);
    assert!(compare(&left, &right, &Options::default()).is_equal());

    client
        .batch_execute(&format!(
            "UPDATE {table} SET namespace = '\\N' WHERE namespace = 'Worker unallocated'"
        ))
        .unwrap();
    let right = read(&mut client, &later);
    let report = compare(&left, &right, &Options::default());
    assert!(!report.is_equal());
    // As null it would not be named at all.
    let mut names = report.differences.iter().flat_map(|d| &d.row);
    let kept = names.any(|n| n.column == "namespace" && n.value == "\\N");
    assert!(kept, "{:#?}", report.differences);

    let missing = Database { client: &mut client, schema: "verify_no_such_schema" };
    let error = load(&Table::Postgres, &filter, Some(missing)).unwrap_err();
    assert!(error.is_database());
    assert!(error.to_string().contains("verify_no_such_schema"), "{error}");
    client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).unwrap();
}
