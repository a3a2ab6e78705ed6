"""Makes the corpus of `tests/drift.rs`: the same line items as many programs write them.

    python3 -m venv venv
    venv/bin/pip install pyarrow==26.0.1 fastparquet==2026.9.0 duckdb==2.0.1 pandas==3.1.1
    venv/bin/python tests/drift/generate.py tests/drift

writes `corpus.tar.gz` and `cases.json` there. Of the archive, `plain/` holds the items as Koku writes them. Every other
file stands for one of those, or beside it; `cases.json` says for which and what must come of it: the same
summary as from the plain files, or a refusal.
"""

import datetime as dt
import decimal
import gzip
import io
import json
import os
import sys
import tarfile
import tempfile
import uuid

import duckdb
import fastparquet
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

OUT = tempfile.mkdtemp()
CASES = []

# The items. Numbers are exact in every type that a case gives them: cores in quarters, bytes whole.

TEXT, WHOLE, FRACTION = "text", "whole", "fraction"
COLUMNS = {
    "pod_usage": {
        "interval_start": "time",
        "namespace": TEXT, "node": TEXT, "pod": TEXT, "resource_id": TEXT, "pod_labels": TEXT,
        "pod_usage_cpu_core_seconds": FRACTION,
        "pod_request_cpu_core_seconds": FRACTION,
        "pod_limit_cpu_core_seconds": FRACTION,
        "pod_usage_memory_byte_seconds": WHOLE,
        "pod_request_memory_byte_seconds": WHOLE,
        "pod_limit_memory_byte_seconds": WHOLE,
        "node_capacity_cpu_cores": FRACTION,
        "node_capacity_cpu_core_seconds": FRACTION,
        "node_capacity_memory_bytes": WHOLE,
        "node_capacity_memory_byte_seconds": WHOLE,
    },
    "storage_usage": {
        "interval_start": "time",
        "namespace": TEXT, "pod": TEXT, "persistentvolumeclaim": TEXT, "persistentvolume": TEXT,
        "storageclass": TEXT, "csi_volume_handle": TEXT,
        "persistentvolume_labels": TEXT, "persistentvolumeclaim_labels": TEXT,
        "persistentvolumeclaim_capacity_bytes": WHOLE,
        "persistentvolumeclaim_capacity_byte_seconds": WHOLE,
        "volume_request_storage_byte_seconds": WHOLE,
        "persistentvolumeclaim_usage_byte_seconds": WHOLE,
    },
    "node_labels": {"interval_start": "time", "node": TEXT, "node_labels": TEXT},
    "namespace_labels": {"interval_start": "time", "namespace": TEXT, "namespace_labels": TEXT},
}
COLUMNS["daily_pod_usage"] = {
    name: kind for name, kind in COLUMNS["pod_usage"].items() if name not in
    ("node_capacity_cpu_core_seconds", "node_capacity_memory_byte_seconds")
}
MIB = 1 << 20


def hour(day, hour):
    return dt.datetime(2025, 10, day, hour)


def pods():
    rows = []
    for day in (1, 2):
        for h in (0, 1, 23):
            for i in range(6):
                node = f"node-{i % 3}"
                cores = 4.0 + 4 * (i % 3)
                rows.append({
                    "interval_start": hour(day, h),
                    "namespace": ("shop", "größe-名", "kube-system")[i % 3],
                    "node": node, "pod": f"web-{i}", "resource_id": f"i-{i % 3}",
                    "pod_labels": json.dumps({"app": f"a{i % 2}", "env": 'q"uote', "x": str(h)}),
                    "pod_usage_cpu_core_seconds": 900.25 + 16 * i + h,
                    "pod_request_cpu_core_seconds": 1800.5 + i,
                    "pod_limit_cpu_core_seconds": 7200.0,
                    "pod_usage_memory_byte_seconds": (3600 + 60 * i + h) * MIB,
                    "pod_request_memory_byte_seconds": 7200 * MIB,
                    "pod_limit_memory_byte_seconds": 14400 * MIB,
                    "node_capacity_cpu_cores": cores,
                    "node_capacity_cpu_core_seconds": 3600 * cores,
                    "node_capacity_memory_bytes": 16384 * MIB,
                    "node_capacity_memory_byte_seconds": 3600 * 16384 * MIB,
                })
    # A null in each column of a row of its own, then rows of nulls and of empty texts.
    for i, name in enumerate(COLUMNS["pod_usage"]):
        rows[2 * i] = {**rows[2 * i], name: None}
    empty = {n: None if k != TEXT else "" for n, k in COLUMNS["pod_usage"].items()}
    rows.append({**empty, "interval_start": hour(2, 5), "node": "node-1", "namespace": "shop",
                 "pod_usage_cpu_core_seconds": 1.0})
    rows.append({n: None for n in COLUMNS["pod_usage"]} | {"interval_start": hour(2, 6)})
    return rows


def daily_pods():
    daily = COLUMNS["daily_pod_usage"]
    at = lambda time: time and time.replace(hour=0)
    return [{n: row[n] for n in daily} | {"interval_start": at(row["interval_start"])} for row in pods()]


def storage():
    rows = []
    for day in (1, 2):
        for i in range(8):
            rows.append({
                "interval_start": hour(day, 0),
                "namespace": ("shop", "größe-名", "kube-system")[i % 3], "pod": f"web-{i % 6}",
                "persistentvolumeclaim": f"claim-{i % 4}", "persistentvolume": f"pv-{i % 4}",
                "storageclass": "fast", "csi_volume_handle": f"vol-{i % 4}",
                "persistentvolume_labels": json.dumps({"env": "v"}),
                "persistentvolumeclaim_labels": json.dumps({"app": f"db{i % 2}"}),
                "persistentvolumeclaim_capacity_bytes": 1024 * MIB,
                "persistentvolumeclaim_capacity_byte_seconds": 3600 * 1024 * MIB,
                "volume_request_storage_byte_seconds": 3600 * 512 * MIB,
                "persistentvolumeclaim_usage_byte_seconds": (3600 + i) * MIB,
            })
    for i, name in enumerate(COLUMNS["storage_usage"]):
        rows[i] = {**rows[i], name: None}
    return rows


def labels(owner, names):
    column = f"{owner}_labels"
    rows = [{"interval_start": hour(day, 0), owner: name, column: json.dumps({"env": name, "team": "t"})}
            for day in (1, 2) for name in names]
    rows[0] = {**rows[0], column: None}
    return rows + [{"interval_start": hour(1, 1), owner: None, column: "{}"},
                   {"interval_start": None, owner: names[0], column: '{"env": "never"}'}]


ITEMS = {
    "pod_usage": pods(), "daily_pod_usage": daily_pods(), "storage_usage": storage(),
    "node_labels": labels("node", ["node-0", "node-1"]),
    "namespace_labels": labels("namespace", ["shop", "größe-名"]),
}
PLAIN_TYPES = {"time": pa.timestamp("ms"), TEXT: pa.string(), WHOLE: pa.float64(), FRACTION: pa.float64()}


def table(report, time=None, text=None, whole=None, fraction=None, rows=None, **columns):
    """The items of a report with other types: of a kind of column, or of columns by name."""
    kinds = PLAIN_TYPES | {k: v for k, v in
                           (("time", time), (TEXT, text), (WHOLE, whole), (FRACTION, fraction)) if v}
    rows = ITEMS[report] if rows is None else rows
    arrays, fields = [], []
    for name, kind in COLUMNS[report].items():
        to = columns.get(name, kinds[kind])
        values = [row[name] for row in rows]
        if pa.types.is_decimal(to):
            values = [None if v is None else decimal.Decimal(v) for v in values]
        elif pa.types.is_date(to):
            values = [None if v is None else v.date() for v in values]
        elif pa.types.is_binary(to) or pa.types.is_large_binary(to):
            values = [None if v is None else v.encode() for v in values]
        elif pa.types.is_integer(to):
            values = [None if v is None else int(v) for v in values]
        elif pa.types.is_floating(to):
            values = [None if v is None else float(v) for v in values]
        elif pa.types.is_timestamp(to) and to.tz:
            values = [None if v is None else v.replace(tzinfo=dt.timezone.utc) for v in values]
        elif kind == "time" and (pa.types.is_string(to) or pa.types.is_large_string(to)):
            values = [None if v is None else v.isoformat() for v in values]
        if pa.types.is_dictionary(to):
            arrays.append(pa.array(values, to.value_type).dictionary_encode().cast(to))
        else:
            arrays.append(pa.array(values, to))
        fields.append(pa.field(name, to))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def case(name, report, **facts):
    """Where a file goes that stands for the plain one of `report`; facts are for the test."""
    CASES.append({"file": f"{name}.parquet", "type": report, **facts})
    path = os.path.join(OUT, f"{name}.parquet")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def arrow(name, data, report="pod_usage", facts=None, **options):
    options = {"store_schema": False, "compression": "snappy"} | options
    pq.write_table(data, case(f"pyarrow/{name}", report, **(facts or {})), **options)


def plain():
    for report in ITEMS:
        path = os.path.join(OUT, "plain", f"{report}.parquet")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        pq.write_table(table(report), path, store_schema=False)


def pyarrow_codecs_and_pages():
    base = table("pod_usage")
    arrow("snappy_v2", base, data_page_version="2.0")
    for codec in ("none", "gzip", "zstd", "lz4", "brotli"):
        arrow(f"{codec}_v1", base, compression=codec)
        arrow(f"{codec}_v2", base, compression=codec, data_page_version="2.0")
    names = list(COLUMNS["pod_usage"])
    codecs = ("none", "gzip", "zstd", "lz4", "brotli", "snappy")
    arrow("mixed_codecs", base, compression={n: codecs[i % 6] for i, n in enumerate(names)})
    for version in ("1.0", "2.0"):
        v = f"v{version[0]}"
        pages = {"data_page_version": version}
        arrow(f"plain_encoding_{v}", base, use_dictionary=False, **pages)
        arrow(f"delta_{v}", base, use_dictionary=False, **pages, column_encoding={
            n: "DELTA_BINARY_PACKED" if k == "time" else "DELTA_BYTE_ARRAY" if k == TEXT
            else "BYTE_STREAM_SPLIT" for n, k in COLUMNS["pod_usage"].items()})
        arrow(f"delta_length_{v}", base, use_dictionary=False, **pages, column_encoding={
            n: "DELTA_LENGTH_BYTE_ARRAY" for n, k in COLUMNS["pod_usage"].items() if k == TEXT})
        arrow(f"small_pages_{v}", base, data_page_size=1, write_batch_size=5, **pages)
        arrow(f"dictionary_given_up_{v}", base, dictionary_pagesize_limit=1, write_batch_size=7,
              data_page_size=64, **pages)
        arrow(f"row_groups_{v}", base, row_group_size=7, **pages)
    arrow("no_statistics", base, write_statistics=False)
    arrow("no_statistics_row_groups", base, write_statistics=False, row_group_size=9)
    arrow("page_index", base, write_page_index=True, write_page_checksum=True, sorting_columns=[
        pq.SortingColumn(0)])
    arrow("format_1.0", base, version="1.0")
    arrow("format_2.4", base, version="2.4")
    arrow("with_arrow_schema", base, store_schema=True)
    arrow("schema_of_pandas", pa.Table.from_pandas(base.to_pandas(), preserve_index=True),
          store_schema=True)


def pyarrow_types():
    large, bytes_, large_bytes = pa.large_string(), pa.binary(), pa.large_binary()
    for report in ("pod_usage", "storage_usage", "node_labels"):
        arrow(f"{report}_large_string", table(report, text=large), report, store_schema=True)
        arrow(f"{report}_binary", table(report, text=bytes_), report)
    arrow("large_binary", table("pod_usage", text=large_bytes), store_schema=True)
    arrow("binary_plain", table("pod_usage", text=bytes_), use_dictionary=False)
    arrow("string_view", table("pod_usage", text=pa.string_view()), store_schema=True)
    for index in (pa.int8(), pa.int32()):
        to = pa.dictionary(index, pa.string())
        arrow(f"dictionary_{index}", table("pod_usage", text=to), store_schema=True)
    arrow("storage_dictionary", table("storage_usage", text=pa.dictionary(pa.int32(), large)),
          "storage_usage", store_schema=True)
    numbers = {
        "int64": {"whole": pa.int64()},
        "uint64": {"whole": pa.uint64()},
        "float32": {"whole": pa.float32(), "fraction": pa.float32()},
        "decimal_38_15": {"whole": pa.decimal128(38, 15), "fraction": pa.decimal128(38, 15)},
        "decimal_18_2": {"whole": pa.decimal128(18, 2), "fraction": pa.decimal128(18, 2)},
        "decimal_9_2": {"fraction": pa.decimal128(9, 2)},
        "decimal_76_20": {"whole": pa.decimal256(76, 20), "fraction": pa.decimal256(76, 20)},
        "int32": {"node_capacity_cpu_cores": pa.int32(), "node_capacity_cpu_core_seconds": pa.int32()},
        "uint16": {"node_capacity_cpu_cores": pa.uint16()},
        "int8": {"node_capacity_cpu_cores": pa.int8()},
    }
    for name, types in numbers.items():
        arrow(name, table("pod_usage", **types))
    for size in ("9_2", "18_2"):
        types = {"fraction": pa.decimal128(*map(int, size.split("_")))}
        arrow(f"decimal_{size}_as_integer", table("pod_usage", **types),
              store_decimal_as_integer=True)
    for name in ("int64", "float32", "decimal_38_15"):
        types = {k: v for k, v in numbers[name].items() if k != FRACTION}
        arrow(f"storage_{name}", table("storage_usage", **types), "storage_usage",
              data_page_version="2.0")
    arrow("float32_byte_stream_split", table("pod_usage", fraction=pa.float32()), use_dictionary=False,
          column_encoding={n: "BYTE_STREAM_SPLIT" for n, k in COLUMNS["pod_usage"].items()
                           if k == FRACTION})


def pyarrow_times():
    berlin = "Europe/Berlin"
    for report in ("pod_usage", "node_labels"):
        for unit in ("s", "ms", "us", "ns"):
            for zone, ending in ((None, ""), ("UTC", "_utc"), (berlin, "_berlin")):
                if report == "node_labels" and unit != "s" or (report, unit, zone) == ("pod_usage", "ms", None):
                    continue
                time = pa.timestamp(unit, zone)
                arrow(f"{report}_time_{unit}{ending}", table(report, time=time), report,
                      store_schema=bool(zone))
    for report in ITEMS:
        arrow(f"{report}_int96", table(report, time=pa.timestamp("us")), report,
              facts=daily(report), use_deprecated_int96_timestamps=True, flavor="spark")
    arrow("int96_plain", table("pod_usage", time=pa.timestamp("ns")), use_dictionary=False,
          use_deprecated_int96_timestamps=True, data_page_version="2.0", row_group_size=10)
    arrow("time_delta", table("pod_usage", time=pa.timestamp("ns")), use_dictionary=False,
          column_encoding={"interval_start": "DELTA_BINARY_PACKED"})
    forms = {
        "iso": lambda t: t.isoformat(),
        "iso_z": lambda t: t.isoformat() + "Z",
        "iso_millis": lambda t: t.isoformat(timespec="milliseconds") + "+00:00",
        "iso_offset": lambda t: (t + dt.timedelta(hours=2)).isoformat() + "+02:00",
        "sql": lambda t: t.isoformat(sep=" "),
        "sql_offset": lambda t: (t - dt.timedelta(hours=7)).isoformat(sep=" ") + "-07",
        "operator": lambda t: t.isoformat(sep=" ") + " +0000 UTC",
    }
    for name, form in forms.items():
        data = table("pod_usage")
        texts = [None if r["interval_start"] is None else form(r["interval_start"]) for r in ITEMS["pod_usage"]]
        arrow(f"time_text_{name}", data.set_column(0, "interval_start", pa.array(texts)))
    for report in ("storage_usage", "daily_pod_usage", "node_labels"):
        if report == "node_labels":
            rows = [row for row in ITEMS[report] if row["node"] is not None]
            data = table(report, time=pa.date32(), rows=rows)
        else:
            data = table(report, time=pa.date32())
        arrow(f"{report}_date32", data, report, facts=daily(report))
    # Years that nanoseconds in 64 bits cannot say: such rows are of another day, not of a wrong one.
    far = [row | {"interval_start": time} for row, time in
           zip(ITEMS["pod_usage"], (dt.datetime(9999, 12, 31), dt.datetime(1, 1, 1), dt.datetime(2300, 7, 4)))]
    for name, options in (("us", {}), ("int96", {"use_deprecated_int96_timestamps": True})):
        data = table("pod_usage", time=pa.timestamp("us"), rows=far)
        arrow(f"far_times_{name}", data, facts={"beside": True}, **options)


def daily(report):
    return {"flags": ["--pod-source", "daily"]} if report == "daily_pod_usage" else {}


def pyarrow_columns():
    base = table("pod_usage")
    arrow("other_order", base.select(sorted(base.column_names, reverse=True)))
    arrow("upper_case", base.rename_columns([n.upper() for n in base.column_names]))
    arrow("mixed_case", base.rename_columns([n.title() for n in base.column_names]))
    arrow("storage_upper_case", table("storage_usage").rename_columns(
        [n.upper() for n in COLUMNS["storage_usage"]]), "storage_usage")
    rows = len(base)
    nested = {
        "a_struct": pa.array([{"node": "no", "namespace": None} if i % 3 else None for i in range(rows)]),
        "a_list": pa.array([["x", None][: i % 3] if i % 4 else None for i in range(rows)], pa.list_(pa.string())),
        "a_map": pa.array([[("k", i)] for i in range(rows)], pa.map_(pa.string(), pa.int64())),
        "structs": pa.array([[{"pod": "no", "deep": [i]}] for i in range(rows)]),
    }
    extra = {"node_role": pa.nulls(rows), "a_flag": pa.array([i % 2 == 0 for i in range(rows)]),
             "a_time": pa.array([dt.time(1, 2)] * rows), "a_day": pa.array([dt.date(2025, 1, 1)] * rows),
             "half": pa.array([1.0] * rows, pa.float16()), "fixed": pa.array([b"abcd"] * rows, pa.binary(4)),
             "an_interval": pa.array([dt.timedelta(seconds=1)] * rows)}
    wide = base
    for i, (name, column) in enumerate((nested | extra).items()):
        wide = wide.add_column(min(2 * i, wide.num_columns), name, column)
    for name, options in (("nested", {}), ("nested_v2", {"data_page_version": "2.0", "row_group_size": 11})):
        arrow(name, wide, **options)
        arrow(f"{name}_all_columns", wide, facts={"flags": ["--column-filtering", "off"]}, **options)
    # Columns that older operators do not send: the same as columns of nulls.
    optional = ["resource_id", "pod_labels", "pod_limit_cpu_core_seconds", "pod_limit_memory_byte_seconds"]
    without = base
    for name in optional:
        at = without.column_names.index(name)
        without = without.set_column(at, name, pa.nulls(rows, without.schema.field(name).type))
    pq.write_table(without, os.path.join(OUT, "plain", "without_optional.parquet"), store_schema=False)
    facts = {"plain": "without_optional"}
    arrow("columns_missing", base.drop_columns(optional), facts=facts)
    typeless = base
    for name in optional:
        typeless = typeless.set_column(typeless.column_names.index(name), name, pa.nulls(rows))
    arrow("columns_of_no_type", typeless, facts=facts)
    arrow("columns_all_null", without, facts=facts, data_page_version="2.0")
    # Columns that may not be null.
    whole = [row for row in ITEMS["pod_usage"] if None not in row.values()]
    required = table("pod_usage", rows=whole)
    pq.write_table(required, os.path.join(OUT, "plain", "no_nulls.parquet"), store_schema=False)
    schema = pa.schema([field.with_nullable(False) for field in required.schema])
    for version in ("1.0", "2.0"):
        arrow(f"required_v{version[0]}", required.cast(schema), facts={"plain": "no_nulls"},
              data_page_version=version)
    arrow("required_plain", required.cast(schema), facts={"plain": "no_nulls"}, use_dictionary=False)
    for report in ITEMS:
        arrow(f"{report}_empty", table(report, rows=[]), report, facts={"beside": True} | daily(report))
    with pq.ParquetWriter(case("pyarrow/empty_row_groups", "pod_usage"), base.schema, store_schema=False) as writer:
        for part in (base[:0], base[:20], base[20:20], base[20:], base[:0]):
            writer.write_table(part)


def refusals():
    def refuse(name, data, why, report="pod_usage", **options):
        arrow(f"refused/{name}", data, report, facts={"refused": why}, **options)

    base = table("pod_usage")
    rows = len(base)

    def instead(name, values, type_=None):
        return base.set_column(base.column_names.index(name), name, pa.array(values, type_))

    node = "column node: the type is "
    refuse("number_as_text", instead("node", [1] * rows), node + "INT64, which cannot be read as text")
    refuse("decimal_as_text", instead("node", [decimal.Decimal(1)] * rows, pa.decimal128(5, 2)),
           "column node: the type is FIXED_LEN_BYTE_ARRAY")
    refuse("fixed_bytes_as_text", instead("node", [b"1234"] * rows, pa.binary(4)),
           node + "FIXED_LEN_BYTE_ARRAY, which cannot be read as text")
    nested = "the type is nested, which cannot be read as "
    refuse("list_as_text", instead("node", [["a"]] * rows), f"column node: {nested}text")
    refuse("struct_as_text", instead("node", [{"a": "b"}] * rows), f"column node: {nested}text")
    refuse("list_as_labels", instead("pod_labels", [["a"]] * rows), f"column pod_labels: {nested}text")
    refuse("map_as_labels", instead("pod_labels", [[("a", "b")]] * rows, pa.map_(pa.string(), pa.string())),
           f"column pod_labels: {nested}text")
    number = "pod_usage_cpu_core_seconds"
    cannot = "which cannot be read as a number"
    refuse("text_as_number", instead(number, ["1.5"] * rows), f"column {number}: the type is BYTE_ARRAY String, {cannot}")
    refuse("flag_as_number", instead(number, [True] * rows), f"column {number}: the type is BOOLEAN, {cannot}")
    refuse("half_as_number", instead(number, [1.0] * rows, pa.float16()), cannot)
    refuse("day_as_number", instead(number, [dt.date(2025, 1, 1)] * rows), cannot)
    refuse("struct_as_number", instead(number, [{"a": 1.0}] * rows), f"column {number}: {nested}a number")
    time, no_time = "interval_start", "which cannot be read as a date and time"
    refuse("bare_integer_as_time", instead(time, [1759276800] * rows), f"column {time}: the type is INT64, {no_time}")
    refuse("number_as_time", instead(time, [1.5] * rows), f"column {time}: the type is DOUBLE, {no_time}")
    refuse("time_of_day_as_time", instead(time, [dt.time(1)] * rows), no_time)
    refuse("flag_as_time", instead(time, [True] * rows), no_time)
    refuse("no_time_in_text", instead(time, ["yesterday"] * rows), 'column interval_start: "yesterday" is not a date and time')
    refuse("not_utf8", instead("node", [b"a\xff"] * rows), "column node: a text is not UTF-8")
    refuse("not_utf8_plain", instead("namespace", [b"\xc3("] * rows), "column namespace: a text is not UTF-8",
           use_dictionary=False)
    refuse("labels_not_utf8", instead("pod_labels", [b'{"app": "\xff"}'] * rows), "column pod_labels: a label text is not UTF-8")
    refuse("labels_list", instead("pod_labels", ['["app"]'] * rows), "is not a JSON object")
    refuse("infinite", instead(number, [float("inf")] * rows), f"column {number}: a value is infinite")
    refuse("infinite_float32", instead(number, [float("-inf")] * rows, pa.float32()), f"column {number}: a value is infinite")
    refuse("no_node", base.drop_columns(["node"]), "has no column node, which is needed; it has: interval_start, namespace, pod")
    refuse("no_time", base.drop_columns(["interval_start"]), "has no column interval_start")
    refuse("two_cases", base.rename_columns([{"node": "NODE", "pod": "Node"}.get(n, n) for n in base.column_names]),
           "has several columns that differ from node in case only: NODE, Node")
    good = os.path.join(OUT, "plain", "pod_usage.parquet")
    with open(good, "rb") as file:
        whole = file.read()
    no_parquet = "is not a readable Parquet file"
    for name, content, why in (
        ("cut", whole[:-100], no_parquet), ("no_footer", whole[:1000], no_parquet), ("text", b"hello " * 9, no_parquet),
        ("magic_alone", b"PAR1PAR1", no_parquet), ("nothing", b"", "is empty (0 bytes)"),
        ("encrypted", whole[:-4] + b"PARE", no_parquet),
    ):
        with open(case(f"bytes/{name}", "pod_usage", refused=why), "wb") as file:
            file.write(content)


def fast(name, frame, report="pod_usage", facts=None, **options):
    options = {"compression": "SNAPPY", "times": "int64"} | options
    fastparquet.write(case(f"fastparquet/{name}", report, **(facts or {})), frame, **options)


def frame(report):
    columns = {}
    for name, kind in COLUMNS[report].items():
        values = [row[name] for row in ITEMS[report]]
        if kind == "time":
            columns[name] = pd.Series(pd.array(values, dtype="datetime64[ns]"))
        elif kind == TEXT:
            columns[name] = pd.Series(values, dtype=object)
        else:
            columns[name] = pd.Series([float("nan") if v is None else float(v) for v in values], dtype="float64")
    return pd.DataFrame(columns)


def fastparquet_files():
    base = frame("pod_usage")
    for codec in ("UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD", "LZ4", "LZ4_RAW", "BROTLI"):
        fast(codec.lower(), base, compression=codec)
    fast("int96", base, times="int96")
    fast("row_groups", base, row_group_offsets=7)
    fast("bytes", base.assign(node=[v if v is None else v.encode() for v in base["node"]]),
         object_encoding={n: "bytes" if n == "node" else "utf8" for n, k in COLUMNS["pod_usage"].items() if k == TEXT})
    fast("categories", base.assign(namespace=base["namespace"].astype("category"), node=base["node"].astype("category")))
    fast("zone", base.assign(interval_start=base["interval_start"].dt.tz_localize("UTC")))
    for unit in ("ms", "us"):
        fast(f"time_{unit}", base.assign(interval_start=base["interval_start"].astype(f"datetime64[{unit}]")))
    fast("float32", base.astype({n: "float32" for n, k in COLUMNS["pod_usage"].items() if k in (WHOLE, FRACTION)}))
    fast("nullable_int64", base.astype({n: "Int64" for n, k in COLUMNS["pod_usage"].items() if k == WHOLE}))
    for report in ("storage_usage", "node_labels", "namespace_labels", "daily_pod_usage"):
        fast(report, frame(report), report, daily(report))
    # Its list of row groups has elements of no type where there are none, which is not read.
    fast("empty", base[:0], facts={"beside": True, "refused": "is not a readable Parquet file"})


def duck(name, select, report="pod_usage", facts=None, options="", where=""):
    base = table(report)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'America/New_York'")
    connection.register("base", base)
    path = case(f"duckdb/{name}", report, **(facts or {}))
    connection.execute(f"COPY (SELECT {select} FROM base {where}) TO '{path}' (FORMAT parquet{options})")


def replace(**columns):
    return "* REPLACE (" + ", ".join(f"{to} AS {name}" for name, to in columns.items()) + ")"


def every(kind, to, report="pod_usage"):
    return replace(**{n: to.format(n) for n, k in COLUMNS[report].items() if k in kind})


def duckdb_files():
    for codec in ("uncompressed", "snappy", "gzip", "zstd", "lz4_raw", "brotli"):
        duck(codec, "*", options=f", COMPRESSION {codec}")
        duck(f"{codec}_v2", "*", options=f", COMPRESSION {codec}, PARQUET_VERSION v2")
    for report in ("storage_usage", "node_labels", "namespace_labels", "daily_pod_usage"):
        duck(report, "*", report, daily(report))
        duck(f"{report}_v2", "*", report, daily(report), options=", PARQUET_VERSION v2")
    for time in ("TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP_NS", "VARCHAR"):
        duck(f"time_{time.lower()}", replace(interval_start=f"interval_start::{time}"))
    duck("time_timestamptz", replace(interval_start="interval_start AT TIME ZONE 'UTC'"))
    duck("time_timestamptz_text", replace(interval_start="(interval_start AT TIME ZONE 'UTC')::VARCHAR"))
    duck("storage_date", replace(interval_start="interval_start::DATE"), "storage_usage")
    numbers = (FRACTION, WHOLE)
    for name, to in (("decimal_18_2", "{}::DECIMAL(18, 2)"), ("decimal_38_6", "{}::DECIMAL(38, 6)"),
                     ("float", "{}::FLOAT")):
        duck(name, every(numbers, to))
        duck(f"{name}_v2", every(numbers, to), options=", PARQUET_VERSION v2")
    duck("decimal_9_2", every((FRACTION,), "{}::DECIMAL(9, 2)"))
    duck("decimal_4_1", replace(node_capacity_cpu_cores="node_capacity_cpu_cores::DECIMAL(4, 1)"))
    for to in ("BIGINT", "UBIGINT", "HUGEINT"):
        duck(to.lower(), every((WHOLE,), "{}::" + to))
    duck("bigint_v2", every((WHOLE,), "{}::BIGINT"), options=", PARQUET_VERSION v2")
    for to in ("TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "UINTEGER"):
        duck(to.lower(), replace(node_capacity_cpu_cores=f"node_capacity_cpu_cores::{to}"))
    duck("enum", replace(node="node::ENUM('node-0', 'node-1', 'node-2')"))
    duck("blob", every((TEXT,), "encode({})"))
    duck("json", replace(pod_labels="CASE WHEN pod_labels = '' THEN NULL ELSE pod_labels::JSON END"))
    duck("row_groups", "*", options=", ROW_GROUP_SIZE 10")
    duck("small_dictionary", "*", options=", DICTIONARY_SIZE_LIMIT 1")
    duck("nested", "{'node': 1} AS a_struct, *, ['a', NULL] AS a_list, map {'a': 1} AS a_map")
    duck("nested_all_columns", "{'node': 1} AS a_struct, *, ['a', NULL] AS a_list, map {'a': 1} AS a_map",
         facts={"flags": ["--column-filtering", "off"]})
    duck("upper_case", ", ".join(f'"{n}" AS "{n.upper()}"' for n in COLUMNS["pod_usage"]))
    duck("empty", "* EXCLUDE (node), node", facts={"beside": True}, where="WHERE false")
    duck("refused_uuid", replace(node=f"'{uuid.UUID(int=1)}'::UUID"),
         facts={"refused": "column node: the type is FIXED_LEN_BYTE_ARRAY Uuid, which cannot be read as text"})
    duck("refused_interval", replace(interval_start="INTERVAL 1 HOUR"),
         facts={"refused": "column interval_start: the type is FIXED_LEN_BYTE_ARRAY"})


def pack(folder, path):
    """The same archive from the same files."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for parent, folders, files in os.walk(folder):
            folders.sort()
            for name in sorted(files):
                file = os.path.join(parent, name)
                member = tarfile.TarInfo(os.path.relpath(file, folder))
                member.size = os.path.getsize(file)
                with open(file, "rb") as content:
                    tar.addfile(member, content)
    with open(path, "wb") as file:
        file.write(gzip.compress(archive.getvalue(), 9, mtime=0))


def main():
    plain()
    pyarrow_codecs_and_pages()
    pyarrow_types()
    pyarrow_times()
    pyarrow_columns()
    refusals()
    fastparquet_files()
    duckdb_files()
    pack(OUT, os.path.join(sys.argv[1], "corpus.tar.gz"))
    with open(os.path.join(sys.argv[1], "cases.json"), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(case) for case in CASES) + "\n]\n")
    print(f"{len(CASES)} files")


main()
