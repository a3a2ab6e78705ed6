"""What the DuckDB contenders write alike: where line items are read, and SQL over label keys."""

import common


class Sql:
    """Pieces of SQL for the arguments of a contender."""

    def __init__(self, args):
        keys = common.enabled_keys(args)
        self.args = args
        self.key_count = len(keys)
        self.in_range = f"interval_start >= TIMESTAMP '{args.start}' AND interval_start < TIMESTAMP '{args.end}'"
        # The values of the enabled keys of a label text, as a list.
        self.paths = "[" + ", ".join(common.literal("$." + common.compact(key)) for key in keys) + "]"
        members = ", ".join(
            f"{common.literal(common.compact(key) + ':')} || to_json(v[{i}])" for i, key in enumerate(keys, 1)
        )
        # Such a list `v` as a label object.
        self.json = f"'{{' || concat_ws(',', {members}) || '}}'"

    def items(self, kind):
        return f"read_parquet({common.literal(common.files(self.args, kind))}, hive_partitioning = false)"

    def merged(self, *sources):
        """Lists of values laid over each other, the first on top."""
        columns = range(1, self.key_count + 1)
        values = [", ".join(f"{source}.v[{i}]" for source in sources) for i in columns]
        return ", ".join(f"coalesce({value})" for value in values)

    def label_objects(self, kind, owner):
        """Distinct filtered label objects of each day and owner, each distinct text parsed once."""
        return f"""{kind} AS (
    SELECT DISTINCT usage_start, {owner}, json_extract_string({owner}_labels, {self.paths}) AS v
    FROM (SELECT DISTINCT interval_start::DATE AS usage_start, {owner}, {owner}_labels
          FROM {self.items(kind)} WHERE {self.in_range}))"""
