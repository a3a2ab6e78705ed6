"""What the files of line items hold, by their footers alone: rows, bytes, first and last day, as JSON."""

import json
import os
import sys

import pyarrow.parquet as pq

files = sys.argv[1:]
rows, days = 0, []
for file in files:
    footer = pq.read_metadata(file)
    rows += footer.num_rows
    at = next(i for i in range(footer.num_columns) if footer.schema.column(i).name == "interval_start")
    groups = [footer.row_group(i).column(at).statistics for i in range(footer.num_row_groups)]
    days += [day.date() for group in groups for day in (group.min, group.max)]
print(json.dumps({
    "files": len(files),
    "rows": rows,
    "bytes": sum(os.path.getsize(file) for file in files),
    "first": str(min(days)),
    "last": str(max(days)),
}))
