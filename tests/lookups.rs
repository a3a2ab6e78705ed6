//! Lookups from CSV files and from a real PostgreSQL.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::path::Path;

use common::postgres::{Partitions, client_of, database};
use common::rows::date;
use ocp_rollup::database::DatabaseError;
use ocp_rollup::lookups::{CategoryPattern, Lookups, LookupsError, NodeRole};
use ocp_rollup::lookups::{csv, postgres};
use uuid::Uuid;

const KEYS: &str =
    "key,enabled,provider_type\napp,true,OCP\nenv,t,OCP\nold,false,OCP\naws,true,AWS\n";
const CATEGORIES: &str = "id,namespace,system_default,cost_category_id\n1,openshift-%,true,7\n";
const NODES: &str = "node,resource_id,node_role\nn1,i-1,worker\nn2,\\N,\\N\nn3,,\n";

fn directory(keys: &str, categories: &str, nodes: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("enabled_tag_keys.csv"), keys).unwrap();
    std::fs::write(dir.path().join("cost_category_namespace.csv"), categories).unwrap();
    std::fs::write(dir.path().join("nodes.csv"), nodes).unwrap();
    dir
}

fn expected() -> Lookups {
    let node = |node: &str, resource_id: Option<&str>, role: Option<&str>| NodeRole {
        node: node.to_owned(),
        resource_id: resource_id.map(str::to_owned),
        role: role.map(str::to_owned),
    };
    Lookups {
        enabled_keys: vec!["app".to_owned(), "env".to_owned()],
        categories: vec![CategoryPattern {
            pattern: "openshift-%".to_owned(),
            cost_category_id: 7,
        }],
        nodes: vec![
            node("n1", Some("i-1"), Some("worker")),
            node("n2", None, None),
            node("n3", Some(""), Some("")),
        ],
    }
}

fn refused(dir: &Path) -> String {
    csv::load(dir).unwrap_err().to_string()
}

#[test]
fn csv_columns_are_found_by_name() {
    let dir = directory(KEYS, CATEGORIES, NODES);
    assert_eq!(csv::load(dir.path()).unwrap(), expected());

    let reordered = "extra,provider_type,key,enabled\nx,OCP,app,t\nx,OCP,env,true\nx,OCP,old,f\n";
    let dir = directory(reordered, CATEGORIES, NODES);
    assert_eq!(csv::load(dir.path()).unwrap(), expected());
}

#[test]
fn csv_faults_name_file_line_and_column() {
    let bad = directory("key,enabled,provider_type\na,true,OCP\nb,yes,OCP\n", CATEGORIES, NODES);
    let message = refused(bad.path());
    for part in ["enabled_tag_keys.csv", "line 3", "`enabled`", "`yes`"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let bad = directory(KEYS, "namespace,cost_category_id\nx,1.5\n", NODES);
    let message = refused(bad.path());
    for part in ["cost_category_namespace.csv", "line 2", "`cost_category_id`", "`1.5`"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let bad = directory(KEYS, CATEGORIES, "node,resource_id,node_role\n\\N,i-1,worker\n");
    assert!(refused(bad.path()).contains("line 2, column `node`"));
    let bad = directory(KEYS, CATEGORIES, "node,resource_id\nn1,i-1\n");
    assert!(refused(bad.path()).contains("nodes.csv has no column `node_role`"));
    let bad = directory(KEYS, CATEGORIES, "node,resource_id,node_role\nn1,i-1\n");
    assert!(matches!(csv::load(bad.path()), Err(LookupsError::Malformed { .. })));
    let bad = directory(KEYS, CATEGORIES, NODES);
    std::fs::remove_file(bad.path().join("nodes.csv")).unwrap();
    assert!(refused(bad.path()).contains("nodes.csv"));
}

#[test]
fn tables_give_the_same_as_csv() {
    let database = database();
    let tenant = database.tenant("we\"ird Schema", Partitions::Plain);
    let mut client = client_of(&tenant);
    client
        .batch_execute(
            "INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type) VALUES
               ('app', true, 'OCP'), ('env', true, 'OCP'), ('old', false, 'OCP'), ('aws', true, 'AWS');
             INSERT INTO reporting_ocp_cost_category_namespace (namespace, system_default, cost_category_id)
               VALUES ('openshift-%', true, 7);
             INSERT INTO reporting_ocp_nodes (node, resource_id, node_role) VALUES
               ('n2', NULL, NULL), ('n3', '', ''), ('n1', 'i-1', 'worker');
             RESET search_path",
        )
        .unwrap();
    assert_eq!(postgres::load(&mut client, &tenant.schema).unwrap(), expected());
}

#[test]
fn a_missing_table_is_named() {
    let database = database();
    let mut client = database.client();
    let error = postgres::load(&mut client, "public").unwrap_err();
    let LookupsError::Database(DatabaseError::NoSuchTable { step, .. }) = error else {
        panic!("{error:?}");
    };
    assert!(step.contains(r#""public"."reporting_enabledtagkeys""#), "{step}");
}

#[test]
fn report_periods_are_those_of_the_months_and_the_provider() {
    let database = database();
    let tenant = database.tenant("org1", Partitions::Plain);
    let mut client = client_of(&tenant);
    let (mine, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    client
        .batch_execute(&format!(
            "INSERT INTO reporting_ocpusagereportperiod
               (id, cluster_id, cluster_alias, report_period_start, report_period_end, provider_id)
             VALUES (1, 'c', 'C', '2025-08-01Z', '2025-09-01Z', '{mine}'),
                    (2, 'c', 'C', '2025-09-01Z', '2025-10-01Z', '{mine}'),
                    (3, 'c', NULL, '2025-10-01Z', '2025-11-01Z', '{mine}'),
                    (4, 'c', 'C', '2025-11-01Z', '2025-12-01Z', '{mine}'),
                    (5, 'd', 'D', '2025-10-01Z', '2025-11-01Z', '{other}');
             SET timezone = 'America/New_York'; SET datestyle = 'SQL, DMY'"
        ))
        .unwrap();
    let (from, to) = (date("2025-09-15"), date("2025-10-20"));
    let periods = postgres::report_periods(&mut client, "org1", mine, from, to).unwrap();
    let found: Vec<_> =
        periods.iter().map(|p| (p.id, p.start, p.cluster_alias.as_deref())).collect();
    assert_eq!(found, [(2, date("2025-09-01"), Some("C")), (3, date("2025-10-01"), None)]);
    assert_eq!(periods[0].cluster_id, "c");
}
