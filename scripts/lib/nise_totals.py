"""What a static YAML file of koku-nise asks for, and whether a summary as CSV has it.

days YAML             first and last day
lookups YAML FOLDER   writes the lookups: every node is a worker
compare YAML CSV      exit code 1 and the differences if a total differs by more than a billionth

The totals are worked out from the YAML alone: pods and claims are the same in every hour of their generator.
"""

import calendar
import csv
import datetime
import sys
from collections import defaultdict

import yaml

TOLERANCE = 1e-9
DAY = datetime.timedelta(days=1)


def generators(path):
    with open(path, encoding="utf-8") as file:
        for entry in yaml.safe_load(file)["generators"]:
            yield entry["OCPGenerator"]


def days(generator):
    """The days of a generator; its last date is the end, not a day."""
    day = generator["start_date"]
    while day < generator["end_date"]:
        yield day
        day += DAY


def expected(path):
    """Totals by (day, namespace, column)."""
    totals = defaultdict(float)

    def add(day, namespace, **values):
        for column, value in values.items():
            totals[day.isoformat(), namespace, column] += value

    for generator in generators(path):
        for node in generator["nodes"]:
            for day in days(generator):
                left = {"cpu": 24.0 * node["cpu_cores"], "memory": 24.0 * node["memory_gig"]}
                free = {(kind, what): left[kind] for kind in left for what in ("usage", "request", "effective")}
                for namespace, content in node["namespaces"].items():
                    for pod in content.get("pods", []):
                        hours = 24 * pod["pod_seconds"] / 3600
                        for kind, unit, suffix in (("cpu", "core", ""), ("mem", "gigabyte", "_gig")):
                            name = "cpu" if kind == "cpu" else "memory"
                            usage = pod[f"{kind}_usage{suffix}"]["full_period"] * hours
                            request = pod[f"{kind}_request{suffix}"] * hours
                            limit = pod[f"{kind}_limit{suffix}"] * hours
                            effective = max(usage, request)
                            add(day, namespace, **{
                                f"pod_usage_{name}_{unit}_hours": usage,
                                f"pod_request_{name}_{unit}_hours": request,
                                f"pod_effective_usage_{name}_{unit}_hours": effective,
                                f"pod_limit_{name}_{unit}_hours": limit,
                            })
                            free[name, "usage"] -= usage
                            free[name, "request"] -= request
                            free[name, "effective"] -= effective
                    month = calendar.monthrange(day.year, day.month)[1]
                    for volume in content.get("volumes", []):
                        for claim in volume["volume_claims"]:
                            used = claim["volume_claim_usage_gig"]["full_period"]
                            add(
                                day,
                                namespace,
                                persistentvolumeclaim_capacity_gigabyte=claim["capacity_gig"],
                                persistentvolumeclaim_capacity_gigabyte_months=claim["capacity_gig"] / month,
                                volume_request_storage_gigabyte_months=volume["volume_request_gig"] / month,
                                persistentvolumeclaim_usage_gigabyte_months=used / month,
                            )
                add(
                    day,
                    "Worker unallocated",
                    pod_usage_cpu_core_hours=free["cpu", "usage"],
                    pod_request_cpu_core_hours=free["cpu", "request"],
                    pod_effective_usage_cpu_core_hours=free["cpu", "effective"],
                    pod_usage_memory_gigabyte_hours=free["memory", "usage"],
                    pod_request_memory_gigabyte_hours=free["memory", "request"],
                    pod_effective_usage_memory_gigabyte_hours=free["memory", "effective"],
                    node_capacity_cpu_core_hours=left["cpu"],
                    node_capacity_memory_gigabyte_hours=left["memory"],
                )
    return totals


def found(path, columns):
    """The same of a summary; capacity counts where it stands once a node."""
    totals = defaultdict(float)
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for column in columns:
                if column.startswith("node_capacity") and row["namespace"] != "Worker unallocated":
                    continue
                if row[column] != r"\N":
                    totals[row["usage_start"], row["namespace"], column] += float(row[column])
    return totals


def compare(path, summary):
    wanted = expected(path)
    actual = found(summary, sorted({column for _, _, column in wanted}))
    differences = 0
    for key in sorted(wanted.keys() | actual.keys()):
        want, have = wanted.get(key), actual.get(key)
        if want is None or have is None or abs(want - have) > TOLERANCE * max(abs(want), abs(have)):
            print(f"{' '.join(key)}: {have}, but the YAML file asks for {want}", file=sys.stderr)
            differences += 1
    return 1 if differences else 0


def lookups(path, folder):
    nodes = {(node["node_name"], f"i-{node['resource_id']}") for g in generators(path) for node in g["nodes"]}
    tables = {
        "enabled_tag_keys": [("key", "enabled", "provider_type"), ("app", "true", "OCP")],
        "cost_category_namespace": [("namespace", "cost_category_id"), ("kube-%", "1")],
        "nodes": [("node", "resource_id", "node_role"), *((*node, "worker") for node in sorted(nodes))],
    }
    for name, rows in tables.items():
        with open(f"{folder}/{name}.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
    return 0


def main(arguments):
    match arguments:
        case ["days", path]:
            all_days = [day for generator in generators(path) for day in days(generator)]
            print(min(all_days), max(all_days))
            return 0
        case ["lookups", path, folder]:
            return lookups(path, folder)
        case ["compare", path, summary]:
            return compare(path, summary)
    print(__doc__, file=sys.stderr)
    return 2


sys.exit(main(sys.argv[1:]))
