"""What every contender is told, and the rules that all of them follow alike.

The rows are the pods' of the daily summary, with the label objects of nodes and namespaces laid under
them, cost categories, and the capacity of nodes and of the cluster, as docs/semantics.md has them
(`fan_out: koku`). Columns that are the same text in every row (cluster, source, period) are left out.
"""

import argparse
import csv
import json
import os

# Sums over line items, in seconds: column of the line item, column of the summary, divisor.
GIB = 1 << 30
MEASURES = [
    ("pod_usage_cpu_core_seconds", "pod_usage_cpu_core_hours", 3600.0),
    ("pod_request_cpu_core_seconds", "pod_request_cpu_core_hours", 3600.0),
    ("pod_limit_cpu_core_seconds", "pod_limit_cpu_core_hours", 3600.0),
    ("pod_usage_memory_byte_seconds", "pod_usage_memory_gigabyte_hours", 3600.0 * GIB),
    ("pod_request_memory_byte_seconds", "pod_request_memory_gigabyte_hours", 3600.0 * GIB),
    ("pod_limit_memory_byte_seconds", "pod_limit_memory_gigabyte_hours", 3600.0 * GIB),
]
# The row's own effective usage where there is one, else the greater of usage and request.
EFFECTIVE = [
    ("cpu_core_seconds", "pod_effective_usage_cpu_core_hours", 3600.0),
    ("memory_byte_seconds", "pod_effective_usage_memory_gigabyte_hours", 3600.0 * GIB),
]


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True, help="folder that holds data/ and lookups/")
    parser.add_argument("--org", required=True)
    parser.add_argument("--provider", required=True)
    parser.add_argument("--start", required=True, help="first day")
    parser.add_argument("--end", required=True, help="day after the last")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--out", required=True, help="Parquet file to write")
    return parser.parse_args()


def files(args, kind):
    """Pattern of the hourly files of a type of line items."""
    root = os.path.join(args.source, "data/parquet", args.org, "OCP", kind)
    return os.path.join(root, f"source={args.provider}", "*", "*", "*.parquet")


def enabled_keys(args):
    """Label keys that count, sorted: the order in which label objects are written."""
    with open(os.path.join(args.source, "lookups/enabled_tag_keys.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    keys = {r["key"] for r in rows if r["enabled"] == "true" and r["provider_type"] == "OCP"}
    return sorted(keys | {"vm_kubevirt_io_name"})


def patterns_file(args):
    return os.path.join(args.source, "lookups/cost_category_namespace.csv")


def nodes_file(args):
    return os.path.join(args.source, "lookups/nodes.csv")


def patterns(args):
    """LIKE pattern of namespaces and category id, one for each line of the lookup."""
    with open(patterns_file(args), newline="") as file:
        return [(r["namespace"], int(r["cost_category_id"])) for r in csv.DictReader(file)]


def sql_sums(greatest="greatest"):
    """Select list of the eight sums and three maxima over line items."""
    sums = [f"sum({column}) AS {name}" for column, name, _ in MEASURES]
    sums += [
        f"sum(coalesce(pod_effective_usage_{what}, {greatest}(pod_usage_{what}, pod_request_{what}))) AS {name}"
        for what, name, _ in EFFECTIVE
    ]
    sums += [
        "max(resource_id) AS resource_id",
        "max(node_capacity_cpu_cores) AS node_capacity_cpu_cores",
        "max(node_capacity_memory_bytes) AS node_capacity_memory_bytes",
    ]
    return ",\n        ".join(sums)


def sql_totals():
    """Select list that adds up what `sql_sums` made, in the units of the summary."""
    columns = [f"sum({name}) / {divisor!r} AS {name}" for _, name, divisor in MEASURES + EFFECTIVE]
    columns += [
        "max(resource_id) AS resource_id",
        "max(node_capacity_cpu_cores) AS node_capacity_cpu_cores",
        f"max(node_capacity_memory_bytes) / {float(GIB)!r} AS node_capacity_memory_gigabytes",
        "max(cost_category_id) AS cost_category_id",
    ]
    return ",\n        ".join(columns)


def literal(text):
    return "'" + text.replace("'", "''") + "'"


def compact(key):
    """A key as it stands in a label object."""
    return json.dumps(key, ensure_ascii=False)
