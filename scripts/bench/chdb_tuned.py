"""ClickHouse, embedded (chdb), the tuned way: by raw label text first, then the reduced rows."""

from chdb import session

import common

args = common.arguments()
keys = common.enabled_keys(args)
db = session.Session()


def items(kind):
    return f"file({common.literal(common.files(args, kind))}, Parquet)"


def literal(text):
    return common.literal(text.replace("\\", "\\\\"))


in_range = f"interval_start >= '{args.start} 00:00:00' AND interval_start < '{args.end} 00:00:00'"
values = "[" + ", ".join(f"JSONExtract({{0}}, {literal(key)}, 'Nullable(String)')" for key in keys) + "]"
merged = ", ".join(f"coalesce(p.v[{i}], s.v[{i}], n.v[{i}])" for i in range(1, len(keys) + 1))
members = ", ".join(
    f"if(v[{i}] IS NULL, '', {literal(common.compact(key) + ':')} || toJSONString(assumeNotNull(v[{i}])))"
    for i, key in enumerate(keys, 1)
)


def run(sql):
    db.query(sql)


def label_objects(owner):
    return f"""
    SELECT DISTINCT usage_start, owner, {values.format("labels")} AS v
    FROM (SELECT DISTINCT toDate(interval_start) AS usage_start, assumeNotNull({owner}) AS owner,
                 ifNull({owner}_labels, '') AS labels
          FROM {items(owner + "_labels")} WHERE {in_range})"""


for setting in (
    f"max_threads = {args.threads}",
    "session_timezone = 'UTC'",
    "join_use_nulls = 1",
    "use_hive_partitioning = 0",
    "engine_file_truncate_on_insert = 1",
):
    run(f"SET {setting}")
run(f"""
CREATE TABLE raw ENGINE = Memory AS
SELECT toDate(interval_start) AS usage_start, assumeNotNull(namespace) AS namespace, assumeNotNull(node) AS node,
        ifNull(pod_labels, '') AS labels,
        {common.sql_sums()}
FROM {items("pod_usage")}
WHERE {in_range} AND node != ''
GROUP BY ALL""")
run(f"""
CREATE TABLE capacity ENGINE = Memory AS
SELECT usage_start, node, cpu, memory,
       sum(cpu) OVER (PARTITION BY usage_start) AS cluster_cpu,
       sum(memory) OVER (PARTITION BY usage_start) AS cluster_memory
FROM (SELECT toDate(hour) AS usage_start, node, sum(most_cpu) / 3600 AS cpu, sum(most_memory) / 3600 / {common.GIB} AS memory
      FROM (SELECT assumeNotNull(interval_start) AS hour, ifNull(node, '') AS node,
                   max(node_capacity_cpu_core_seconds) AS most_cpu,
                   max(node_capacity_memory_byte_seconds) AS most_memory
            FROM {items("pod_usage")} WHERE {in_range} GROUP BY ALL)
      GROUP BY usage_start, node)""")
run("CREATE TABLE category ENGINE = Memory AS " + " UNION ALL ".join(
    f"SELECT namespace, toInt32({number}) AS cost_category_id FROM (SELECT DISTINCT namespace FROM raw) "
    f"WHERE namespace LIKE {literal(pattern)}"
    for pattern, number in common.patterns(args)
))
totals = common.sql_totals()
for _, name, divisor in common.MEASURES + common.EFFECTIVE:
    totals = totals.replace(f"sum({name})", f"sum(r.{name})")
for name in ("resource_id", "node_capacity_cpu_cores", "node_capacity_memory_bytes"):
    totals = totals.replace(f"max({name})", f"max(r.{name})")
run(f"""
INSERT INTO FUNCTION file({common.literal(args.out)}, Parquet)
WITH parsed AS (SELECT labels, {values.format("labels")} AS v FROM (SELECT DISTINCT labels FROM raw)),
joined AS (
    SELECT r.usage_start AS usage_start, r.namespace AS namespace, r.node AS node, [{merged}] AS v,
        {totals}
    FROM raw r
    LEFT JOIN parsed p ON r.labels = p.labels
    LEFT JOIN ({label_objects("namespace")}) s ON r.usage_start = s.usage_start AND r.namespace = s.owner
    LEFT JOIN ({label_objects("node")}) n ON r.usage_start = n.usage_start AND r.node = n.owner
    LEFT JOIN category c ON r.namespace = c.namespace
    GROUP BY usage_start, namespace, node, v)
SELECT t.* EXCEPT (v, usage_start), toDate32(t.usage_start) AS usage_start,
       '{{' || arrayStringConcat(arrayFilter(x -> x != '', [{members}]), ',') || '}}' AS pod_labels,
       cpu AS node_capacity_cpu_core_hours, memory AS node_capacity_memory_gigabyte_hours,
       cluster_cpu AS cluster_capacity_cpu_core_hours, cluster_memory AS cluster_capacity_memory_gigabyte_hours
FROM joined t LEFT JOIN capacity c ON t.usage_start = c.usage_start AND t.node = c.node""")
