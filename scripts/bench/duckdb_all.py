"""DuckDB, tuned, all kinds of rows: beside the pods' (see duckdb_tuned.py) storage and unallocated rows, which take
another pass over the pods' names to find the nodes that claims were mounted on."""

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
CREATE TEMP TABLE pods AS
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
FROM rows LEFT JOIN capacity USING (usage_start, node)""")

measures = ["usage", "request", "effective_usage"]
units = [("cpu_core_hours", "cpu_core_hours"), ("memory_gigabyte_hours", "memory_gigabyte_hours")]
left_over = ",\n        ".join(
    f"max(node_capacity_{unit}) - sum(pod_{measure}_{unit}) AS pod_{measure}_{unit}"
    for measure in measures
    for unit, _ in units
)
capacities = ",\n        ".join(
    f"max({name}) AS {name}"
    for name in (
        "node_capacity_cpu_cores", "node_capacity_cpu_core_hours", "node_capacity_memory_gigabytes",
        "node_capacity_memory_gigabyte_hours", "cluster_capacity_cpu_core_hours", "cluster_capacity_memory_gigabyte_hours",
    )
)  # fmt: skip
nodes_file = common.literal(common.nodes_file(args))
db.execute(f"""
CREATE TEMP TABLE unallocated AS
WITH roles AS (
    SELECT node, resource_id, max(node_role) AS role FROM read_csv({nodes_file}, nullstr = ['', '\\N']) GROUP BY ALL),
rows AS (
    SELECT usage_start, node, max(p.resource_id) AS resource_id,
        CASE WHEN max(role) IN ('master', 'infra') THEN 'Platform unallocated'
             WHEN max(role) = 'worker' THEN 'Worker unallocated' END AS namespace,
        {left_over},
        {capacities}
    FROM pods p LEFT JOIN roles USING (node, resource_id)
    GROUP BY ALL)
SELECT rows.*, c.cost_category_id
FROM rows LEFT JOIN read_csv({common.literal(common.patterns_file(args))}) c
  ON rows.namespace LIKE c.namespace ESCAPE '\\'""")

seconds = f"(86400.0 * day(last_day(interval_start)) * {common.GIB})"
db.execute(f"""
CREATE TEMP TABLE storage AS
WITH claims AS (
    SELECT interval_start::DATE AS usage_start, namespace, pod, persistentvolumeclaim, persistentvolume, storageclass,
           csi_volume_handle, persistentvolume_labels, persistentvolumeclaim_labels,
           max(persistentvolumeclaim_capacity_bytes) AS capacity,
           sum(persistentvolumeclaim_capacity_byte_seconds) / any_value({seconds}) AS capacity_months,
           sum(volume_request_storage_byte_seconds) / any_value({seconds}) AS request_months,
           sum(persistentvolumeclaim_usage_byte_seconds) / any_value({seconds}) AS usage_months
    FROM {sql.items("storage_usage")} WHERE {sql.in_range}
    GROUP BY ALL),
mounting AS (SELECT DISTINCT usage_start, namespace, pod, persistentvolumeclaim, persistentvolume FROM claims),
at_work AS (
    SELECT DISTINCT interval_start::DATE AS usage_start, namespace, pod, node, resource_id
    FROM {sql.items("pod_usage")}
    WHERE {sql.in_range} AND (namespace, pod) IN (SELECT namespace, pod FROM mounting)),
places AS (SELECT * FROM mounting JOIN at_work USING (usage_start, namespace, pod)),
node_counts AS (
    SELECT usage_start, persistentvolume, count(DISTINCT node) AS nodes FROM places GROUP BY ALL),
{sql.label_objects("node_labels", "node")},
{sql.label_objects("namespace_labels", "namespace")},
volume_values AS (
    SELECT persistentvolume_labels, json_extract_string(persistentvolume_labels, {sql.paths}) AS v
    FROM (SELECT DISTINCT persistentvolume_labels FROM claims)),
claim_values AS (
    SELECT persistentvolumeclaim_labels, json_extract_string(persistentvolumeclaim_labels, {sql.paths}) AS v
    FROM (SELECT DISTINCT persistentvolumeclaim_labels FROM claims)),
category AS (
    SELECT n.namespace, c.cost_category_id
    FROM (SELECT DISTINCT namespace FROM claims) n
    JOIN read_csv({common.literal(common.patterns_file(args))}) c ON n.namespace LIKE c.namespace ESCAPE '\\'),
rows AS (
    SELECT usage_start, namespace, p.node, p.resource_id, persistentvolumeclaim, r.persistentvolume, storageclass,
        csi_volume_handle, [{sql.merged('c', 'v', 's', 'n')}] AS v,
        max(capacity) / {common.GIB} AS persistentvolumeclaim_capacity_gigabyte,
        sum(capacity_months) AS persistentvolumeclaim_capacity_gigabyte_months,
        sum(request_months / coalesce(nodes, 1)) AS volume_request_storage_gigabyte_months,
        sum(usage_months / coalesce(nodes, 1)) AS persistentvolumeclaim_usage_gigabyte_months,
        max(cost_category_id) AS cost_category_id
    FROM claims r
    LEFT JOIN places p USING (usage_start, namespace, pod, persistentvolumeclaim)
    LEFT JOIN node_counts k ON k.usage_start = r.usage_start AND k.persistentvolume = r.persistentvolume
    LEFT JOIN volume_values v USING (persistentvolume_labels)
    LEFT JOIN claim_values c USING (persistentvolumeclaim_labels)
    LEFT JOIN namespace_labels s USING (usage_start, namespace)
    LEFT JOIN node_labels n ON n.usage_start = r.usage_start AND n.node = p.node
    LEFT JOIN category USING (namespace)
    GROUP BY ALL)
SELECT rows.* EXCLUDE (v), {sql.json} AS volume_labels FROM rows""")

db.execute(f"""
COPY (
SELECT 'Pod' AS data_source, * FROM pods
UNION ALL BY NAME SELECT 'Pod' AS data_source, * FROM unallocated
UNION ALL BY NAME SELECT 'Storage' AS data_source, * FROM storage
) TO {common.literal(args.out)} (FORMAT parquet)""")
