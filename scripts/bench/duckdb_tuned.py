"""DuckDB, tuned: line items are grouped by the raw label text first, labels are parsed once for each
distinct text, and the few rows that are left are grouped again."""

import duckdb

import common

args = common.arguments()
keys = common.enabled_keys(args)
db = duckdb.connect()
db.execute(f"SET threads = {args.threads}; SET preserve_insertion_order = false")


def items(kind):
    return f"read_parquet({common.literal(common.files(args, kind))}, hive_partitioning = false)"


in_range = f"interval_start >= TIMESTAMP '{args.start}' AND interval_start < TIMESTAMP '{args.end}'"
paths = "[" + ", ".join(common.literal('$.' + common.compact(key)) for key in keys) + "]"
merged = ", ".join(f"coalesce(p.v[{i}], s.v[{i}], n.v[{i}])" for i in range(1, len(keys) + 1))
members = ", ".join(
    f"{common.literal(common.compact(key) + ':')} || to_json(v[{i}])" for i, key in enumerate(keys, 1)
)


def label_objects(name, kind, owner):
    """Distinct filtered label objects of each day and owner."""
    return f"""{name} AS (
    SELECT DISTINCT usage_start, {owner}, json_extract_string({owner}_labels, {paths}) AS v
    FROM (SELECT DISTINCT interval_start::DATE AS usage_start, {owner}, {owner}_labels
          FROM {items(kind)} WHERE {in_range}))"""


db.execute(f"""
CREATE TEMP TABLE raw AS
SELECT interval_start::DATE AS usage_start, namespace, node, pod_labels,
        {common.sql_sums()}
FROM {items("pod_usage")}
WHERE {in_range} AND node <> ''
GROUP BY ALL""")

db.execute(f"""
CREATE TEMP TABLE capacity AS
SELECT usage_start, node, cpu, memory,
       sum(cpu) OVER (PARTITION BY usage_start) AS cluster_cpu,
       sum(memory) OVER (PARTITION BY usage_start) AS cluster_memory
FROM (SELECT interval_start::DATE AS usage_start, node, sum(cpu) / 3600 AS cpu, sum(memory) / 3600 / {common.GIB} AS memory
      FROM (SELECT interval_start, coalesce(node, '') AS node, max(node_capacity_cpu_core_seconds) AS cpu,
                   max(node_capacity_memory_byte_seconds) AS memory
            FROM {items("pod_usage")} WHERE {in_range} GROUP BY ALL)
      GROUP BY ALL)""")

db.execute(f"""
COPY (
WITH parsed AS (
    SELECT pod_labels, json_extract_string(pod_labels, {paths}) AS v
    FROM (SELECT DISTINCT pod_labels FROM raw)),
{label_objects("node_labels", "node_labels", "node")},
{label_objects("namespace_labels", "namespace_labels", "namespace")},
category AS (
    SELECT n.namespace, c.cost_category_id
    FROM (SELECT DISTINCT namespace FROM raw) n
    JOIN read_csv({common.literal(common.patterns_file(args))}) c ON n.namespace LIKE c.namespace ESCAPE '\\'),
rows AS (
    SELECT usage_start, namespace, node, [{merged}] AS v,
        {common.sql_totals()}
    FROM raw
    LEFT JOIN parsed p USING (pod_labels)
    LEFT JOIN namespace_labels s USING (usage_start, namespace)
    LEFT JOIN node_labels n USING (usage_start, node)
    LEFT JOIN category USING (namespace)
    GROUP BY ALL)
SELECT rows.* EXCLUDE (v), '{{' || concat_ws(',', {members}) || '}}' AS pod_labels,
       cpu AS node_capacity_cpu_core_hours, memory AS node_capacity_memory_gigabyte_hours,
       cluster_cpu AS cluster_capacity_cpu_core_hours, cluster_memory AS cluster_capacity_memory_gigabyte_hours
FROM rows LEFT JOIN capacity USING (usage_start, node)
) TO {common.literal(args.out)} (FORMAT parquet)""")
