"""Polars, its streaming engine, the tuned way: by raw label text first, then the reduced rows."""

import os
import sys
from datetime import date, datetime

import common

args = common.arguments()
os.environ["POLARS_MAX_THREADS"] = str(args.threads)

import polars as pl  # noqa: E402  (takes its threads from the environment when it is imported)

keys = common.enabled_keys(args)
start, end = (datetime.combine(date.fromisoformat(day), datetime.min.time()) for day in (args.start, args.end))
when = pl.col("interval_start")
day = when.dt.date().alias("usage_start")


def items(kind):
    scan = pl.scan_parquet(common.files(args, kind), hive_partitioning=False)
    return scan.filter((when >= start) & (when < end))


def streamed(frame):
    return frame.collect(engine="streaming")


def values(column):
    """The enabled keys of a column of label texts, one column each."""
    dtype = pl.Struct({key: pl.String for key in keys})
    decoded = pl.col(column).str.json_decode(dtype)
    return [decoded.struct.field(key).alias(f"{column}:{i}") for i, key in enumerate(keys)]


def parsed(frame, column):
    """`frame` with the values of each distinct text."""
    texts = frame.select(column).unique()
    return frame.join(texts.with_columns(values(column)), on=column, how="left", nulls_equal=True)


def label_objects(kind, owner):
    column = f"{owner}_labels"
    texts = streamed(items(kind).select(day, owner, column).unique())
    return parsed(texts, column).drop(column).unique()


measured = [(pl.col(column), name) for column, name, _ in common.MEASURES]
measured += [
    (pl.coalesce(f"pod_effective_usage_{what}", pl.max_horizontal(f"pod_usage_{what}", f"pod_request_{what}")), name)
    for what, name, _ in common.EFFECTIVE
]
# A sum of no value is 0 here, where the summary has null: hence how many there are.
sums = [value.sum().alias(name) for value, name in measured]
sums += [value.count().alias(f"{name}:count") for value, name in measured]
sums += [pl.col("resource_id").max(), pl.col("node_capacity_cpu_cores").max(), pl.col("node_capacity_memory_bytes").max()]

raw = streamed(
    items("pod_usage").filter(pl.col("node") != "").group_by(day, "namespace", "node", "pod_labels").agg(sums)
)
capacity = streamed(
    items("pod_usage")
    .group_by(when, pl.col("node").fill_null(""))
    .agg(pl.col("node_capacity_cpu_core_seconds").max(), pl.col("node_capacity_memory_byte_seconds").max())
    .group_by(day, "node")
    .agg(
        (pl.col("node_capacity_cpu_core_seconds").sum() / 3600).alias("node_capacity_cpu_core_hours"),
        (pl.col("node_capacity_memory_byte_seconds").sum() / 3600 / common.GIB).alias("node_capacity_memory_gigabyte_hours"),
    )
    .with_columns(
        pl.col("node_capacity_cpu_core_hours").sum().over("usage_start").alias("cluster_capacity_cpu_core_hours"),
        pl.col("node_capacity_memory_gigabyte_hours").sum().over("usage_start").alias("cluster_capacity_memory_gigabyte_hours"),
    )
)


def like(pattern):
    """A LIKE pattern as a regular expression; the lookup has no backslashes."""
    if "\\" in pattern:
        sys.exit(f"pattern {pattern!r}: escapes are not translated")
    wild = {"%": ".*", "_": "."}
    text = "".join(wild.get(c) or (c if c.isalnum() else "\\" + c) for c in pattern)
    return f"(?s)^{text}$"


namespaces = raw.select("namespace").unique()
category = pl.concat(
    namespaces.filter(pl.col("namespace").str.contains(like(pattern))).with_columns(pl.lit(number, pl.Int32).alias("cost_category_id"))
    for pattern, number in common.patterns(args)
)
merged = [f"key:{i}" for i in range(len(keys))]
totals = [
    pl.when(pl.col(f"{name}:count").sum() > 0).then(pl.col(name).sum() / divisor).alias(name)
    for _, name, divisor in common.MEASURES + common.EFFECTIVE
]
totals += [
    pl.col("resource_id").max(),
    pl.col("node_capacity_cpu_cores").max(),
    (pl.col("node_capacity_memory_bytes").max() / common.GIB).alias("node_capacity_memory_gigabytes"),
    pl.col("cost_category_id").max(),
]
rows = (
    parsed(raw, "pod_labels")
    .lazy()
    .join(label_objects("namespace_labels", "namespace").lazy(), on=["usage_start", "namespace"], how="left")
    .join(label_objects("node_labels", "node").lazy(), on=["usage_start", "node"], how="left")
    .join(category.lazy(), on="namespace", how="left")
    .with_columns(
        pl.coalesce(f"pod_labels:{i}", f"namespace_labels:{i}", f"node_labels:{i}").alias(name)
        for i, name in enumerate(merged)
    )
    .group_by("usage_start", "namespace", "node", *merged)
    .agg(totals)
    .join(capacity.lazy(), on=["usage_start", "node"], how="left")
)
# An object without the keys that are null, which `struct.json_encode` would write.
members = [
    (pl.lit(common.compact(key) + ":") + pl.struct(pl.col(name).alias("v")).struct.json_encode().str.slice(5).str.strip_suffix("}"))
    for key, name in zip(keys, merged)
]
members = [pl.when(pl.col(name).is_not_null()).then(member) for name, member in zip(merged, members)]
labels = (pl.lit("{") + pl.concat_str(members, separator=",", ignore_nulls=True) + pl.lit("}")).alias("pod_labels")
streamed(rows.with_columns(labels).drop(merged)).write_parquet(args.out)
