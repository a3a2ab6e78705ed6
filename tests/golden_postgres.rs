//! The golden scenarios into PostgreSQL, with everything looked up there.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::collections::BTreeSet;
use std::io::{Read, Write};

use common::golden::{Scenario, report, scenarios, succeed};
use common::multiset::{Rows, compare};
use common::postgres::{Database, Partitions, client_of, database};
use ocp_rollup::settings::Postgres;
use postgres::Client;
use rayon::prelude::*;

const TABLE: &str = "reporting_ocpusagelineitem_daily_summary";
const LOOKUPS: [(&str, &str); 3] = [
    ("reporting_enabledtagkeys", "enabled_tag_keys.csv"),
    ("reporting_ocp_cost_category_namespace", "cost_category_namespace.csv"),
    ("reporting_ocp_nodes", "nodes.csv"),
];
/// The ids of report periods start here, so that none is right by counting months.
const FIRST_PERIOD: i32 = 700;
const OTHER_PROVIDER: &str = "99999999-0000-4000-8000-000000000000";

/// Fills the lookups and the report periods of a tenant, with others around those that count.
fn prepare(scenario: &Scenario, client: &mut Client) {
    for (table, file) in LOOKUPS {
        let content = std::fs::read_to_string(scenario.folder.join(file)).unwrap();
        let columns = content.lines().next().unwrap();
        let copy = format!("COPY {table} ({columns}) FROM STDIN (FORMAT csv, HEADER, NULL '\\N')");
        let mut writer = client.copy_in(&copy).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
        writer.finish().unwrap();
    }
    let params = &scenario.params;
    for (id, start, cluster, alias, provider) in [
        (1, "2025-08-01", &params.cluster_id, "another month", &params.source_uuid),
        (2, "2025-10-01", &"other".to_owned(), "another source", &OTHER_PROVIDER.to_owned()),
    ] {
        period(client, id, start, cluster, alias, provider);
    }
    for run in &params.runs {
        let month = format!("{}-01", &run.start_date[..7]);
        let id = FIRST_PERIOD + run.report_period_id;
        period(client, id, &month, &params.cluster_id, &params.cluster_alias, &params.source_uuid);
    }
}

fn period(client: &mut Client, id: i32, start: &str, cluster: &str, alias: &str, provider: &str) {
    let insert = "INSERT INTO reporting_ocpusagereportperiod (id, report_period_start, \
                  report_period_end, cluster_id, cluster_alias, provider_id) SELECT $1, \
                  month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC', \
                  $3, $4, $5::text::uuid FROM (SELECT $2::text::timestamp) AS given (month)";
    client.execute(insert, &[&id, &start, &cluster, &alias, &provider]).unwrap();
}

/// One run with all it needs from the database named in the environment.
fn run(scenario: &Scenario, tenant: &Postgres) -> Result<(), String> {
    let password = tenant.password.as_ref().unwrap().0.as_str();
    let mut command = scenario.run();
    command
        .env("DATABASE_SERVICE_HOST", &tenant.host)
        .env("DATABASE_SERVICE_PORT", tenant.port.to_string())
        .env("DATABASE_NAME", &tenant.database)
        .env("DATABASE_USER", &tenant.user)
        .env("DATABASE_PASSWORD", password);
    succeed(&mut command).map(drop)
}

/// The table as PostgreSQL writes it out.
fn read(client: &mut Client, columns: &[String]) -> Rows {
    let copy = format!(
        "COPY (SELECT {} FROM {TABLE}) TO STDOUT (FORMAT csv, HEADER, NULL '\\N')",
        columns.join(", ")
    );
    let mut content = Vec::new();
    client.copy_out(&copy).unwrap().read_to_end(&mut content).unwrap();
    Rows::parse(&content)
}

fn uuids(client: &mut Client) -> BTreeSet<String> {
    let rows = client.query(&format!("SELECT uuid::text FROM {TABLE}"), &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn check(scenario: &Scenario, database: &Database, partitions: Partitions) -> Result<(), String> {
    let tenant = database.tenant(&scenario.params.schema, partitions);
    let mut client = client_of(&tenant);
    prepare(scenario, &mut client);
    let mut expected = Rows::parse(&std::fs::read(scenario.folder.join("expected.csv")).unwrap());
    expected.map("report_period_id", |id| (FIRST_PERIOD + id.parse::<i32>().unwrap()).to_string());
    let mut before = BTreeSet::new();
    for repetition in ["first run", "second run"] {
        run(scenario, &tenant)?;
        compare(&expected, &read(&mut client, &expected.columns))
            .map_err(|error| format!("{repetition}: {error}"))?;
        let after = uuids(&mut client);
        if !before.is_disjoint(&after) {
            return Err(format!("{repetition}: rows were left in place instead of replaced"));
        }
        before = after;
    }
    periods_by_month(scenario, &read(&mut client, &expected.columns))
}

/// A range of several months is several report periods, each on the rows of its own month.
fn periods_by_month(scenario: &Scenario, rows: &Rows) -> Result<(), String> {
    let (id, day) = (rows.position("report_period_id"), rows.position("usage_start"));
    let found: BTreeSet<(String, String)> =
        rows.rows.iter().map(|row| (row[day][..7].to_owned(), row[id].clone())).collect();
    let wanted = scenario.params.runs.iter().map(|run| {
        (run.start_date[..7].to_owned(), (FIRST_PERIOD + run.report_period_id).to_string())
    });
    if found == wanted.collect() { Ok(()) } else { Err(format!("report periods are {found:?}")) }
}

#[test]
fn the_table_holds_what_upstream_wrote_however_often_it_runs() {
    let failures = scenarios()
        .par_iter()
        .enumerate()
        .filter_map(|(i, scenario)| {
            let partitions = if i % 2 == 0 { Partitions::Registry } else { Partitions::Plain };
            let result = check(scenario, &database(), partitions);
            result.err().map(|error| format!("{}: {error}", scenario.name))
        })
        .collect();
    report(failures);
}
