"""Whether a contender made the pod rows that ocp-rollup made: same keys, every number within 1e-9.

    check.py OURS THEIRS

Prints a JSON object: `rows` and the `greatest_relative_difference`, or how they are `different`."""

import json
import sys

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

KEY = ["usage_start", "namespace", "node", "pod_labels"]
NUMBERS = [
    "pod_usage_cpu_core_hours",
    "pod_request_cpu_core_hours",
    "pod_effective_usage_cpu_core_hours",
    "pod_limit_cpu_core_hours",
    "pod_usage_memory_gigabyte_hours",
    "pod_request_memory_gigabyte_hours",
    "pod_effective_usage_memory_gigabyte_hours",
    "pod_limit_memory_gigabyte_hours",
    "node_capacity_cpu_cores",
    "node_capacity_cpu_core_hours",
    "node_capacity_memory_gigabytes",
    "node_capacity_memory_gigabyte_hours",
    "cluster_capacity_cpu_core_hours",
    "cluster_capacity_memory_gigabyte_hours",
]
EXACT = ["resource_id", "cost_category_id"]
TOLERANCE = 1e-9


class Different(Exception):
    """The rows differ; the message says where."""


def canonical(text):
    """Label objects as text, keys sorted; contenders that write them so already are taken as they are."""
    return json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def frame(file):
    has_other_kinds = "data_source" in pq.read_schema(file).names
    table = pq.read_table(file, columns=KEY + NUMBERS + EXACT + ["data_source"] * has_other_kinds)
    if has_other_kinds:
        # Unallocated rows are the only ones of pods without label objects.
        pods = pc.and_(pc.equal(table["data_source"], "Pod"), pc.is_valid(table["pod_labels"]))
        table = table.filter(pods)
    frame = table.select(KEY + NUMBERS + EXACT).to_pandas()
    frame["usage_start"] = frame["usage_start"].astype("datetime64[s]")
    texts = {text: canonical(text) for text in frame["pod_labels"].unique()}
    frame["pod_labels"] = frame["pod_labels"].map(texts)
    return frame.sort_values(KEY, kind="stable").reset_index(drop=True)


def first(frame, rows):
    at = int(np.flatnonzero(rows)[0])
    return f"{int(np.sum(rows))} rows, the first: " + ", ".join(str(frame[key].iloc[at]) for key in KEY)


def compare(ours, theirs):
    """Takes two frames; returns the number of rows and the greatest relative difference of a number."""
    if len(ours) != len(theirs):
        raise Different(f"{len(theirs)} rows instead of {len(ours)}")
    for column in KEY + EXACT:
        a, b = ours[column], theirs[column]
        unequal = ((a != b) & ~(a.isna() & b.isna())).to_numpy()
        if unequal.any():
            raise Different(f"{column} differs in {first(ours, unequal)}")
    greatest = 0.0
    for column in NUMBERS:
        a, b = ours[column].to_numpy(float), theirs[column].to_numpy(float)
        if (np.isnan(a) != np.isnan(b)).any():
            raise Different(f"{column} is null in one of both in {first(ours, np.isnan(a) != np.isnan(b))}")
        scale = np.maximum(np.maximum(np.abs(a), np.abs(b)), np.finfo(float).tiny)
        apart = np.nan_to_num(np.abs(a - b) / scale)
        if (apart > TOLERANCE).any():
            raise Different(f"{column} is further apart than {TOLERANCE} in {first(ours, apart > TOLERANCE)}")
        greatest = max(greatest, float(apart.max(initial=0.0)))
    return len(ours), greatest


def main():
    try:
        rows, apart = compare(frame(sys.argv[1]), frame(sys.argv[2]))
        print(json.dumps({"rows": rows, "greatest_relative_difference": apart}))
    except Different as error:
        print(json.dumps({"different": str(error)}))


main()
