//! A tenant with a month of old rows, and usage for new ones.
#![cfg_attr(
    not(feature = "failpoints"),
    allow(dead_code, reason = "what points.rs alone needs is not built without the feature")
)]

use ocp_rollup::settings::Postgres;
use postgres::Client;

use crate::common::line_items::pod;
use crate::common::postgres::{Partitions, client_of, database};
use crate::common::program::{Run, Scene};
use crate::common::rows::SOURCE;
use crate::common::tree::Table;

pub const TABLE: &str = "reporting_ocpusagelineitem_daily_summary";
pub const PARTITION: &str = "reporting_ocpusagelineitem_daily_summary_2025_10";
pub const DAYS: u32 = 5;

/// Five days of usage into a tenant that has them from other usage, replaced day by day.
pub struct Stage {
    pub before: Scene,
    pub scene: Scene,
    pub tenant: Postgres,
    pub client: Client,
    /// The table as it was, and as it is to be.
    pub old: Vec<String>,
    pub new: Vec<String>,
}

impl Stage {
    pub fn new(partitions: Partitions) -> Self {
        let tenant = database().tenant("org1234567", partitions);
        let mut client = client_of(&tenant);
        client
            .batch_execute(&format!(
                "INSERT INTO reporting_ocpusagereportperiod (id, cluster_id, report_period_start, \
                   report_period_end, provider_id) \
                 VALUES (1, 'c', '2025-10-01 UTC', '2025-11-01 UTC', '{SOURCE}')"
            ))
            .unwrap();
        let (before, scene) = (scene(1800.0), scene(3600.0));
        run(&scene, &tenant).with("bulk", "off").done().succeeds();
        let new = rows(&mut client);
        run(&before, &tenant).with("bulk", "off").done().succeeds();
        let old = rows(&mut client);
        assert_ne!(old, new);
        Stage { before, scene, tenant, client, old, new }
    }

    /// Makes the table what it was.
    pub fn restore(&mut self) {
        run(&self.before, &self.tenant).with("bulk", "off").done().succeeds();
        assert_eq!(self.rows(), self.old);
    }

    pub fn run(&self) -> Run {
        run(&self.scene, &self.tenant).with("bulk", "on")
    }

    pub fn rows(&mut self) -> Vec<String> {
        rows(&mut self.client)
    }

    pub fn text(&mut self, query: &str) -> String {
        text(&mut self.client, query)
    }

    /// Tells one table from another that took its place.
    pub fn partition(&mut self) -> String {
        self.text(&format!("SELECT '{PARTITION}'::regclass::oid::text"))
    }

    /// Tables of months that are not in place.
    pub fn tables_left(&mut self) -> i64 {
        let query =
            "SELECT count(*) FROM pg_class WHERE relname LIKE 'ocp_rollup_bulk%' AND relkind = 'r'";
        self.client.query_one(query, &[]).unwrap().get(0)
    }
}

pub fn scene(seconds: f64) -> Scene {
    let scene = Scene::new();
    let rows = (1..=DAYS).flat_map(|day| {
        (0..6).map(move |i| {
            pod()
                .at(&format!("2025-10-{day:02} {i:02}:00"))
                .with("namespace", format!("namespace-{i}").as_str())
                .with("pod_usage_cpu_core_seconds", seconds * f64::from(i + 1))
        })
    });
    scene.tree.add(&Table::pods(rows));
    scene
}

pub fn run(scene: &Scene, tenant: &Postgres) -> Run {
    scene.run_into(tenant).with("to", format!("2025-10-{DAYS:02}")).with("connections", 3)
}

/// Every row but for its uuid, by day.
pub fn rows(client: &mut Client) -> Vec<String> {
    let query =
        format!("SELECT (to_jsonb(t) - 'uuid')::text FROM {TABLE} t ORDER BY usage_start, 1");
    client.query(&query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

pub fn text(client: &mut Client, query: &str) -> String {
    client.query_one(query, &[]).unwrap().get(0)
}

pub fn put(client: &mut Client, day: &str, period: &str, raw_cost: &str) {
    client
        .batch_execute(&format!(
            "INSERT INTO {TABLE} (uuid, usage_start, usage_end, report_period_id, namespace, \
             infrastructure_raw_cost) VALUES \
             (gen_random_uuid(), '{day}', '{day}', {period}, 'foreign', {raw_cost})"
        ))
        .unwrap();
}

/// All that psql and pg_dump would show of the partition.
pub const LOOKS: &str = "\
SELECT jsonb_pretty(jsonb_build_object(
  'table', (SELECT jsonb_build_array(relname, relowner::regrole, relacl::text, reloptions,
              relreplident, relkind, relpersistence, obj_description(oid),
              pg_get_expr(relpartbound, oid))
            FROM pg_class WHERE oid = p.oid),
  'columns', (SELECT jsonb_agg(jsonb_build_array(attname, atttypid::regtype, atttypmod, attnotnull,
                attstattarget, attstorage, array_to_string(attoptions, ' ') ~ 'n_distinct=170',
                attacl::text, pg_get_expr(adbin, adrelid),
                col_description(p.oid, attnum)) ORDER BY attname)
              FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
              WHERE attrelid = p.oid AND attnum > 0),
  'constraints', (SELECT jsonb_agg(jsonb_build_array(conname, pg_get_constraintdef(oid),
                    convalidated, conparentid <> 0) ORDER BY conname)
                  FROM pg_constraint WHERE conrelid = p.oid),
  'indexes', (SELECT jsonb_agg(jsonb_build_array(pg_get_indexdef(indexrelid), indisvalid,
                indisprimary, (SELECT inhparent::regclass FROM pg_inherits
                               WHERE inhrelid = indexrelid)) ORDER BY 1)
              FROM (SELECT * FROM pg_index WHERE indrelid = p.oid
                    ORDER BY pg_get_indexdef(indexrelid)) i),
  'listed', (SELECT to_jsonb(l) FROM partitioned_tables l WHERE table_name = p.relname)))
FROM pg_class p WHERE p.relname = 'reporting_ocpusagelineitem_daily_summary_2025_10'";
