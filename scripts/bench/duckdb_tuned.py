"""DuckDB, tuned: line items are grouped by the raw label text first, labels are parsed once for each
distinct text, and the few rows that are left are grouped again."""

import duckdb

import common
from duckdb_common import Sql

args = common.arguments()
db = duckdb.connect()
db.execute(f"SET threads = {args.threads}; SET preserve_insertion_order = false")
sql = Sql(args)

db.execute(f"""
CREATE TEMP TABLE raw AS
SELECT interval_start::DATE AS usage_start, namespace, node, pod_labels,
        {common.sql_sums()}
FROM {sql.items("pod_usage")}
WHERE {sql.in_range} AND node <> ''
GROUP BY ALL""")

db.execute(f"""
CREATE TEMP TABLE capacity AS
SELECT usage_start, node, cpu, memory,
       sum(cpu) OVER (PARTITION BY usage_start) AS cluster_cpu,
       sum(memory) OVER (PARTITION BY usage_start) AS cluster_memory
FROM (SELECT interval_start::DATE AS usage_start, node, sum(cpu) / 3600 AS cpu, sum(memory) / 3600 / {common.GIB} AS memory
      FROM (SELECT interval_start, coalesce(node, '') AS node, max(node_capacity_cpu_core_seconds) AS cpu,
                   max(node_capacity_memory_byte_seconds) AS memory
            FROM {sql.items("pod_usage")} WHERE {sql.in_range} GROUP BY ALL)
      GROUP BY ALL)""")

db.execute(f"""
COPY (
WITH parsed AS (
    SELECT pod_labels, json_extract_string(pod_labels, {sql.paths}) AS v
    FROM (SELECT DISTINCT pod_labels FROM raw)),
{sql.label_objects("node_labels", "node")},
{sql.label_objects("namespace_labels", "namespace")},
category AS (
    SELECT n.namespace, c.cost_category_id
    FROM (SELECT DISTINCT namespace FROM raw) n
    JOIN read_csv({common.literal(common.patterns_file(args))}) c ON n.namespace LIKE c.namespace ESCAPE '\\'),
rows AS (
    SELECT usage_start, namespace, node, [{sql.merged('p', 's', 'n')}] AS v,
        {common.sql_totals()}
    FROM raw
    LEFT JOIN parsed p USING (pod_labels)
    LEFT JOIN namespace_labels s USING (usage_start, namespace)
    LEFT JOIN node_labels n USING (usage_start, node)
    LEFT JOIN category USING (namespace)
    GROUP BY ALL)
SELECT rows.* EXCLUDE (v), {sql.json} AS pod_labels,
       cpu AS node_capacity_cpu_core_hours, memory AS node_capacity_memory_gigabyte_hours,
       cluster_cpu AS cluster_capacity_cpu_core_hours, cluster_memory AS cluster_capacity_memory_gigabyte_hours
FROM rows LEFT JOIN capacity USING (usage_start, node)
) TO {common.literal(args.out)} (FORMAT parquet)""")
