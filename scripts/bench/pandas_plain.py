"""pandas, the straightforward way, which is where many come from: everything in memory, labels by a Python function."""

import json
import re

import pandas as pd

import common

args = common.arguments()
keys = set(common.enabled_keys(args))
start, end = pd.Timestamp(args.start), pd.Timestamp(args.end)


def items(kind):
    folder = common.files(args, kind).split("/*")[0]
    frame = pd.read_parquet(folder, filters=[("interval_start", ">=", start), ("interval_start", "<", end)])
    frame["usage_start"] = frame["interval_start"].dt.date
    return frame


def enabled(text):
    if pd.isna(text) or text == "":
        return {}
    return {key: value for key, value in json.loads(text).items() if key in keys}


def merge(*labels):
    """Later objects win."""
    merged = {}
    for label in labels:
        if isinstance(label, dict):
            merged.update(label)
    return json.dumps(merged, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def label_objects(kind, owner):
    """Distinct label objects of each day and owner; more than one multiplies that owner's rows."""
    frame = items(kind)
    frame["object"] = frame[f"{owner}_labels"].map(enabled)
    frame["text"] = frame["object"].map(merge)
    frame = frame.drop_duplicates(["usage_start", owner, "text"])
    return frame[["usage_start", owner, "object"]].rename(columns={"object": f"{owner}_object"})


def like(pattern):
    parts = [{"%": ".*", "_": "."}.get(c, re.escape(c)) for c in pattern]
    return re.compile("".join(parts), re.DOTALL)


everything = items("pod_usage")
pods = everything[everything["node"].notna() & (everything["node"] != "")].copy()
pods["pod_object"] = pods["pod_labels"].map(enabled)
pods = pods.merge(label_objects("namespace_labels", "namespace"), on=["usage_start", "namespace"], how="left")
pods = pods.merge(label_objects("node_labels", "node"), on=["usage_start", "node"], how="left")
pods["pod_labels"] = [merge(*labels) for labels in zip(pods["node_object"], pods["namespace_object"], pods["pod_object"])]

categories = [
    (namespace, number)
    for namespace in pods["namespace"].unique()
    for pattern, number in common.patterns(args)
    if like(pattern).fullmatch(namespace)
]
pods = pods.merge(pd.DataFrame(categories, columns=["namespace", "cost_category_id"]), on="namespace", how="left")

for what, name, _ in common.EFFECTIVE:
    greater = pods[[f"pod_usage_{what}", f"pod_request_{what}"]].max(axis=1)
    pods[f"effective_{what}"] = pods[f"pod_effective_usage_{what}"].fillna(greater)
sums = common.MEASURES + [(f"effective_{what}", name, divisor) for what, name, divisor in common.EFFECTIVE]
grouped = pods.groupby(["usage_start", "namespace", "node", "pod_labels"])
rows = grouped[[column for column, _, _ in sums]].sum(min_count=1)
for column, name, divisor in sums:
    rows[name] = rows[column] / divisor
rows["resource_id"] = grouped["resource_id"].max()
rows["node_capacity_cpu_cores"] = grouped["node_capacity_cpu_cores"].max()
rows["node_capacity_memory_gigabytes"] = grouped["node_capacity_memory_bytes"].max() / common.GIB
rows["cost_category_id"] = grouped["cost_category_id"].max()
rows = rows.drop(columns=[column for column, _, _ in sums]).reset_index()

everything["node"] = everything["node"].fillna("")
measures = ["node_capacity_cpu_core_seconds", "node_capacity_memory_byte_seconds"]
hours = everything.groupby(["usage_start", "interval_start", "node"])[measures].max()
nodes = hours.groupby(["usage_start", "node"]).sum()
nodes["node_capacity_cpu_core_hours"] = nodes["node_capacity_cpu_core_seconds"] / 3600
nodes["node_capacity_memory_gigabyte_hours"] = nodes["node_capacity_memory_byte_seconds"] / 3600 / common.GIB
nodes = nodes.drop(columns=measures)
clusters = nodes.groupby("usage_start").sum().rename(columns=lambda name: name.replace("node_", "cluster_"))
rows = rows.merge(nodes.reset_index(), on=["usage_start", "node"], how="left")
rows = rows.merge(clusters.reset_index(), on="usage_start", how="left")
rows.to_parquet(args.out)
