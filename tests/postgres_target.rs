//! What the program says of a table that cannot take the rows.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::sync::Arc;

use common::postgres::{Partitions, client_of, database};
use common::rows::{Batch, day, first_measure};
use ocp_rollup::database::{self, DatabaseError};
use ocp_rollup::settings::{Postgres, Secret};
use ocp_rollup::sink::postgres::{PostgresError, PostgresSink};
use ocp_rollup::sink::{Sink, SinkError};

const TABLE: &str = "reporting_ocpusagelineitem_daily_summary";

fn altered(change: &str) -> (Postgres, postgres::Client) {
    let tenant = database().tenant("org1", Partitions::Plain);
    let mut client = client_of(&tenant);
    client.batch_execute(&change.replace("TABLE_NAME", TABLE)).unwrap();
    (tenant, client)
}

fn open(tenant: &Postgres) -> Result<PostgresSink, PostgresError> {
    PostgresSink::open(database::connect(tenant).unwrap(), &tenant.schema)
}

fn refused(tenant: &Postgres) -> PostgresError {
    match open(tenant) {
        Ok(_) => panic!("the table was accepted"),
        Err(error) => error,
    }
}

fn write(tenant: &Postgres) -> Result<(), SinkError> {
    let meta = Arc::new(day("2025-10-10"));
    let mut sink = open(tenant)?;
    sink.begin_day(&meta)?;
    let mut measures = first_measure(1.0);
    measures[12] = 2.0;
    sink.write(&Batch::of(&meta).pod("shop", Some("{}"), measures).build())?;
    sink.end_day().map(|_| ())
}

#[test]
fn a_missing_table_is_named() {
    let (tenant, _) = altered("DROP TABLE TABLE_NAME");
    let error = refused(&tenant);
    assert!(
        matches!(&error, PostgresError::NoTable { schema, .. } if schema == "org1"),
        "{error:?}"
    );
    assert!(error.to_string().contains(TABLE));
}

#[test]
fn a_view_is_not_a_table() {
    let (tenant, _) =
        altered("ALTER TABLE TABLE_NAME RENAME TO t; CREATE VIEW TABLE_NAME AS SELECT * FROM t");
    assert!(matches!(refused(&tenant), PostgresError::NotATable { .. }));
}

#[test]
fn a_missing_column_is_refused_only_for_a_value() {
    let (tenant, _) = altered("ALTER TABLE TABLE_NAME DROP COLUMN cluster_capacity_cpu_core_hours");
    let SinkError::Postgres(error) = write(&tenant).unwrap_err() else { panic!() };
    let message = error.to_string();
    assert!(matches!(error, PostgresError::ColumnMissing { .. }), "{error:?}");
    for part in ["`cluster_capacity_cpu_core_hours`", "`shop`", "2025-10-10"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let (tenant, mut client) = altered("ALTER TABLE TABLE_NAME DROP COLUMN storageclass");
    write(&tenant).unwrap();
    let rows = client.query(&format!("SELECT 1 FROM {TABLE}"), &[]).unwrap().len();
    assert_eq!(rows, 1);
}

#[test]
fn columns_of_later_steps_may_be_missing() {
    let (tenant, mut client) = altered(
        "ALTER TABLE TABLE_NAME DROP COLUMN infrastructure_raw_cost, DROP COLUMN cost_model_gpu_cost",
    );
    write(&tenant).unwrap();
    write(&tenant).unwrap();
    let rows = client.query(&format!("SELECT 1 FROM {TABLE}"), &[]).unwrap().len();
    assert_eq!(rows, 1);
}

#[test]
fn a_table_without_the_keys_of_a_day_is_refused() {
    let (tenant, _) = altered("ALTER TABLE TABLE_NAME DROP COLUMN report_period_id");
    let error = refused(&tenant);
    let column = matches!(error, PostgresError::ColumnRequired { column: "report_period_id", .. });
    assert!(column, "{error:?}");
}

#[test]
fn extra_columns_are_left_alone_unless_they_must_be_filled() {
    let (tenant, mut client) = altered(
        "ALTER TABLE TABLE_NAME ADD COLUMN note text, ADD COLUMN \"made At\" date NOT NULL DEFAULT \
         '2025-01-01'",
    );
    write(&tenant).unwrap();
    let extra: Option<String> =
        client.query_one(&format!("SELECT note FROM {TABLE}"), &[]).unwrap().get(0);
    assert_eq!(extra, None);

    let (tenant, _) = altered("ALTER TABLE TABLE_NAME ADD COLUMN tenant text NOT NULL");
    let error = refused(&tenant);
    assert!(
        matches!(&error, PostgresError::ColumnUnknown { column, .. } if column == "tenant"),
        "{error:?}"
    );
}

#[test]
fn a_column_of_another_type_is_refused() {
    let (tenant, _) =
        altered("ALTER TABLE TABLE_NAME ALTER COLUMN node_capacity_cpu_cores TYPE float8");
    let message = refused(&tenant).to_string();
    assert!(message.contains("`node_capacity_cpu_cores`"), "{message}");
    assert!(message.contains("float8") && message.contains("numeric"), "{message}");
}

#[test]
fn columns_may_stand_in_any_order_and_be_wider() {
    let (tenant, mut client) = altered(
        "ALTER TABLE TABLE_NAME DROP COLUMN namespace; ALTER TABLE TABLE_NAME ADD COLUMN namespace text",
    );
    write(&tenant).unwrap();
    let namespace: String =
        client.query_one(&format!("SELECT namespace FROM {TABLE}"), &[]).unwrap().get(0);
    assert_eq!(namespace, "shop");
}

#[test]
fn a_trigger_that_drops_rows_is_noticed() {
    let (tenant, mut client) = altered(
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'begin return null; end'; \
         CREATE TRIGGER swallow BEFORE INSERT ON TABLE_NAME FOR EACH ROW EXECUTE FUNCTION swallow()",
    );
    let SinkError::Postgres(error) = write(&tenant).unwrap_err() else { panic!() };
    assert!(matches!(error, PostgresError::RowsDropped { sent: 1, kept: 0, .. }), "{error:?}");
    let rows = client.query(&format!("SELECT 1 FROM {TABLE}"), &[]).unwrap().len();
    assert_eq!(rows, 0);
}

#[test]
fn a_read_only_database_is_told_at_once() {
    let tenant = database().tenant("org1", Partitions::Plain);
    let set = format!("ALTER DATABASE {} SET default_transaction_read_only = on", tenant.database);
    client_of(&tenant).batch_execute(&set).unwrap();
    assert!(matches!(refused(&tenant), PostgresError::ReadOnly));
}

#[test]
fn a_missing_privilege_is_named() {
    let tenant = database().tenant("org1", Partitions::Plain);
    let user = format!("weak_{}", tenant.database);
    client_of(&tenant)
        .batch_execute(&format!(
            "CREATE ROLE {user} LOGIN PASSWORD 'weak'; GRANT USAGE ON SCHEMA org1 TO {user}; \
             GRANT SELECT, INSERT ON {TABLE} TO {user}"
        ))
        .unwrap();
    let weak = Postgres { user, password: Some(Secret("weak".to_owned())), ..tenant.clone() };
    let error = refused(&weak);
    assert!(matches!(error, PostgresError::NoPrivilege { privilege: "DELETE", .. }), "{error:?}");

    // With what it takes to write, making a partition still takes the owner.
    client_of(&tenant).batch_execute(&format!("GRANT DELETE ON {TABLE} TO {}", weak.user)).unwrap();
    let SinkError::Postgres(error) = write(&weak).unwrap_err() else { panic!() };
    let PostgresError::Database(DatabaseError::Privilege { step, .. }) = &error else {
        panic!("{error:?}");
    };
    assert!(step.contains("2025_10"), "{step}");
    write(&tenant).unwrap();
    write(&weak).unwrap();
}
