"""DataFusion, the tuned way. It has no JSON functions: distinct label texts, few by then, are parsed by Python."""

import json

import pyarrow as pa
from datafusion import RuntimeEnvBuilder, SessionConfig, SessionContext

import common

args = common.arguments()
keys = common.enabled_keys(args)
config = SessionConfig().with_target_partitions(args.threads)
config = config.set("datafusion.execution.parquet.pushdown_filters", "false")
db = SessionContext(config, RuntimeEnvBuilder())
for kind in ("pod_usage", "node_labels", "namespace_labels"):
    # A folder and its files below: DataFusion takes no pattern.
    db.register_parquet(f"{kind}_items", common.files(args, kind).split("*")[0], file_extension=".parquet")

in_range = f"interval_start >= TIMESTAMP '{args.start}' AND interval_start < TIMESTAMP '{args.end}'"
columns = [f"v{i}" for i in range(len(keys))]


def keep(name, sql):
    """The rows of a query, held for those to come."""
    batches = db.sql(sql).collect()
    db.register_record_batches(name, [batches])


def parse(name, texts):
    """Table `name`: each distinct text of a query and the values of the enabled keys in it."""
    column = db.sql(f"SELECT DISTINCT labels FROM ({texts})").to_arrow_table()["labels"]
    objects = [json.loads(text) if text else {} for text in column.to_pylist()]
    values = [pa.array([o.get(key) for o in objects], pa.string()) for key in keys]
    table = pa.Table.from_arrays([column.cast(pa.string()), *values], ["labels", *columns])
    db.register_record_batches(name, [table.to_batches()])


keep("raw", f"""
SELECT CAST(interval_start AS DATE) AS usage_start, namespace, node, pod_labels AS labels,
        {common.sql_sums()}
FROM pod_usage_items WHERE {in_range} AND node <> ''
GROUP BY 1, 2, 3, 4""")
keep("capacity", f"""
SELECT usage_start, node, cpu, memory,
       sum(cpu) OVER (PARTITION BY usage_start) AS cluster_cpu,
       sum(memory) OVER (PARTITION BY usage_start) AS cluster_memory
FROM (SELECT CAST(interval_start AS DATE) AS usage_start, node, sum(cpu) / 3600.0 AS cpu, sum(memory) / 3600.0 / {float(common.GIB)} AS memory
      FROM (SELECT interval_start, coalesce(node, '') AS node, max(node_capacity_cpu_core_seconds) AS cpu,
                   max(node_capacity_memory_byte_seconds) AS memory
            FROM pod_usage_items WHERE {in_range} GROUP BY 1, 2)
      GROUP BY 1, 2)""")
parse("pod_values", "SELECT labels FROM raw")
for owner in ("namespace", "node"):
    keep(f"{owner}_texts", f"""
SELECT DISTINCT CAST(interval_start AS DATE) AS usage_start, {owner}, {owner}_labels AS labels
FROM {owner}_labels_items WHERE {in_range}""")
    parse(f"{owner}_values", f"SELECT labels FROM {owner}_texts")
    keep(f"{owner}_objects", f"""
SELECT DISTINCT usage_start, {owner}, {", ".join(columns)}
FROM {owner}_texts t JOIN {owner}_values v ON t.labels IS NOT DISTINCT FROM v.labels""")
keep("category", " UNION ALL ".join(
    f"SELECT namespace, CAST({number} AS INT) AS cost_category_id FROM (SELECT DISTINCT namespace FROM raw) "
    f"WHERE namespace LIKE {common.literal(pattern)}"
    for pattern, number in common.patterns(args)
))

merged = ", ".join(f"coalesce(p.{v}, s.{v}, n.{v}) AS {v}" for v in columns)
# Values of labels in this input need two escapes at most.
quoted = "replace(replace({}, '\\', '\\\\'), '\"', '\\\"')"
members = ", ".join(
    f"{common.literal(common.compact(key) + ':' + chr(34))} || {quoted.format(v)} || '\"'" for key, v in zip(keys, columns)
)
by = ", ".join(["usage_start", "namespace", "node", *columns])
db.sql(f"""
WITH joined AS (
    SELECT r.*, c.cost_category_id, {merged}
    FROM raw r
    LEFT JOIN pod_values p ON r.labels IS NOT DISTINCT FROM p.labels
    LEFT JOIN namespace_objects s ON r.usage_start = s.usage_start AND r.namespace = s.namespace
    LEFT JOIN node_objects n ON r.usage_start = n.usage_start AND r.node = n.node
    LEFT JOIN category c ON r.namespace = c.namespace),
totals AS (
    SELECT {by},
        {common.sql_totals()}
    FROM joined GROUP BY {by})
SELECT t.usage_start, t.namespace, t.node, '{{' || concat_ws(',', {members}) || '}}' AS pod_labels,
       {", ".join(name for _, name, _ in common.MEASURES + common.EFFECTIVE)},
       resource_id, node_capacity_cpu_cores, node_capacity_memory_gigabytes, cost_category_id,
       cpu AS node_capacity_cpu_core_hours, memory AS node_capacity_memory_gigabyte_hours,
       cluster_cpu AS cluster_capacity_cpu_core_hours, cluster_memory AS cluster_capacity_memory_gigabyte_hours
FROM totals t LEFT JOIN capacity c ON t.usage_start = c.usage_start AND t.node = c.node
""").repartition(1).write_parquet(args.out)
