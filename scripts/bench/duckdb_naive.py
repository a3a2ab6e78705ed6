"""DuckDB as one would write it first: the labels of every line item are parsed where they stand."""

import duckdb

import common
from duckdb_common import Sql

args = common.arguments()
db = duckdb.connect()
db.execute(f"SET threads = {args.threads}")
sql = Sql(args)


def label_objects(name, owner):
    return f"""{name} AS (
    SELECT DISTINCT interval_start::DATE AS usage_start, {owner}, json_extract_string({owner}_labels, {sql.paths}) AS v
    FROM {sql.items(name)} WHERE {sql.in_range})"""


db.execute(f"""
COPY (
WITH pods AS (
    SELECT *, interval_start::DATE AS usage_start, json_extract_string(pod_labels, {sql.paths}) AS v
    FROM {sql.items("pod_usage")} WHERE {sql.in_range}),
{label_objects("node_labels", "node")},
{label_objects("namespace_labels", "namespace")},
category AS (SELECT * FROM read_csv({common.literal(common.patterns_file(args))})),
rows AS (
    SELECT usage_start, p.namespace, p.node, [{sql.merged('p', 's', 'n')}] AS v,
        {common.sql_sums()},
        max(c.cost_category_id) AS cost_category_id
    FROM pods p
    LEFT JOIN namespace_labels s USING (usage_start, namespace)
    LEFT JOIN node_labels n USING (usage_start, node)
    LEFT JOIN category c ON p.namespace LIKE c.namespace ESCAPE '\\'
    WHERE p.node <> ''
    GROUP BY ALL),
hours AS (
    SELECT usage_start, interval_start, coalesce(node, '') AS node, max(node_capacity_cpu_core_seconds) AS cpu,
           max(node_capacity_memory_byte_seconds) AS memory
    FROM pods GROUP BY ALL),
nodes AS (
    SELECT usage_start, node, sum(cpu) / 3600 AS cpu, sum(memory) / 3600 / {common.GIB} AS memory
    FROM hours GROUP BY ALL),
clusters AS (SELECT usage_start, sum(cpu) AS cluster_cpu, sum(memory) AS cluster_memory FROM nodes GROUP BY ALL)
SELECT usage_start, namespace, node, {sql.json} AS pod_labels,
       {", ".join(f"{name} / {divisor!r} AS {name}" for _, name, divisor in common.MEASURES + common.EFFECTIVE)},
       resource_id, node_capacity_cpu_cores,
       node_capacity_memory_bytes / {common.GIB} AS node_capacity_memory_gigabytes, cost_category_id,
       cpu AS node_capacity_cpu_core_hours, memory AS node_capacity_memory_gigabyte_hours,
       cluster_cpu AS cluster_capacity_cpu_core_hours, cluster_memory AS cluster_capacity_memory_gigabyte_hours
FROM rows JOIN nodes USING (usage_start, node) JOIN clusters USING (usage_start)
) TO {common.literal(args.out)} (FORMAT parquet)""")
