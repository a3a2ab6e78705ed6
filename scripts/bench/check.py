"""Whether a contender made the rows that ocp-rollup made: same keys, every number within 1e-9.

    check.py pods|all OURS THEIRS

Compares the pods' rows, or those of all kinds.

Prints a JSON object: `rows` and the `greatest_relative_difference`, or how they are `different`."""

import json
import sys

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

KEY = ["usage_start", "namespace", "node", "pod_labels"]
# What tells rows of all kinds apart.
ALL_KEY = KEY + [
    "data_source",
    "resource_id",
    "persistentvolumeclaim",
    "persistentvolume",
    "storageclass",
    "csi_volume_handle",
    "volume_labels",
]
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
STORAGE_NUMBERS = [
    "persistentvolumeclaim_capacity_gigabyte",
    "persistentvolumeclaim_capacity_gigabyte_months",
    "volume_request_storage_gigabyte_months",
    "persistentvolumeclaim_usage_gigabyte_months",
]
EXACT = ["resource_id", "cost_category_id"]
TOLERANCE = 1e-9


class Different(Exception):
    """The rows differ; the message says where."""


def canonical(text):
    """Label objects as text, keys sorted; contenders that write them so already are taken as they are."""
    return json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def has_kinds(file):
    return "data_source" in pq.read_schema(file).names


def frame(file, all_kinds):
    """The rows of a file, sorted; only the pods' where not `all_kinds`."""
    key = ALL_KEY if all_kinds else KEY
    columns = list(dict.fromkeys(key + numbers(all_kinds) + EXACT))
    table = pq.read_table(file, columns=columns + ["data_source"] * (not all_kinds and has_kinds(file)))
    if not all_kinds and has_kinds(file):
        # Unallocated rows are the only ones of pods without label objects.
        pods = pc.and_(pc.equal(table["data_source"], "Pod"), pc.is_valid(table["pod_labels"]))
        table = table.filter(pods)
    frame = table.select(columns).to_pandas()
    frame["usage_start"] = frame["usage_start"].astype("datetime64[s]")
    for column in key[1:]:
        frame[column] = frame[column].fillna("\0null")
        if column.endswith("_labels"):
            texts = {text: text if text == "\0null" else canonical(text) for text in frame[column].unique()}
            frame[column] = frame[column].map(texts)
    return frame.sort_values(key, kind="stable").reset_index(drop=True)


def numbers(all_kinds):
    return NUMBERS + STORAGE_NUMBERS if all_kinds else NUMBERS


def first(frame, rows):
    at = int(np.flatnonzero(rows)[0])
    return f"{int(np.sum(rows))} rows, the first: " + ", ".join(str(frame[key].iloc[at]) for key in KEY)


def compare(ours, theirs, all_kinds):
    """Takes two frames; returns the number of rows and the greatest relative difference of a number."""
    if len(ours) != len(theirs):
        raise Different(f"{len(theirs)} rows instead of {len(ours)}")
    for column in (ALL_KEY if all_kinds else KEY) + EXACT:
        a, b = ours[column], theirs[column]
        unequal = ((a != b) & ~(a.isna() & b.isna())).to_numpy()
        if unequal.any():
            raise Different(f"{column} differs in {first(ours, unequal)}")
    greatest = 0.0
    for column in numbers(all_kinds):
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
        kinds, ours, theirs = sys.argv[1:]
        all_kinds = kinds == "all"
        rows, apart = compare(frame(ours, all_kinds), frame(theirs, all_kinds), all_kinds)
        print(json.dumps({"rows": rows, "greatest_relative_difference": apart}))
    except Different as error:
        print(json.dumps({"different": str(error)}))


main()
