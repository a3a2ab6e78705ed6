//! The partition of a month: which it is, whether a new table can take its place, and all that the
//! two must have in common.

use std::collections::BTreeMap;

use postgres::{GenericClient, Row};

use super::Failure;
use super::load::Load;
use crate::database::qualify;
use crate::sink::postgres::partitions::Month;
use crate::sink::postgres::target::Target;

/// A month's partition.
#[derive(Debug, Clone)]
pub struct Partition {
    pub oid: u32,
    pub name: String,
    /// Qualified and quoted.
    pub table: String,
    /// Storage parameters as `name=value`.
    options: Vec<String>,
}

/// While a table is loaded nothing should vacuum it: that would keep its indexes waiting.
const NO_VACUUM: &str = "autovacuum_enabled";

impl Partition {
    /// The partition that holds exactly `month`, if a new table can be put in its place.
    pub fn find(
        client: &mut impl GenericClient,
        target: &Target,
        month: &Month,
    ) -> Result<Self, Failure> {
        let bounds = format!("FOR VALUES FROM ('{}') TO ('{}')", month.first, month.next);
        let row = client
            .query_opt(FIND, &[&target.oid, &bounds])
            .map_err(Failure::of("looking for the month's partition"))?;
        let Some(row) = row else {
            return Err(Failure::NotPossible("no partition holds just this month".to_owned()));
        };
        let (partition, obstacle) = Self::read(&row, &target.schema)
            .map_err(Failure::of("looking at the month's partition"))?;
        match obstacle {
            None => Ok(partition),
            Some(obstacle) => Err(Failure::NotPossible(format!("{} {obstacle}", partition.name))),
        }
    }

    fn read(row: &Row, schema: &str) -> Result<(Self, Option<String>), postgres::Error> {
        let name: String = row.try_get(1)?;
        let table = qualify(schema, &name);
        let partition = Partition { oid: row.try_get(0)?, name, table, options: row.try_get(2)? };
        Ok((partition, row.try_get(3)?))
    }

    /// Storage parameters of a table that is loaded to become this partition.
    pub fn options_while_loading(&self) -> String {
        let own = self.options.iter().filter(|option| option_name(option) != NO_VACUUM);
        own.map(|option| as_sql(option))
            .chain([format!("{NO_VACUUM} = off")])
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// What makes those parameters this partition's own.
    pub fn final_options(&self, table: &str) -> String {
        match self.options.iter().find(|option| option_name(option) == NO_VACUUM) {
            Some(option) => format!("ALTER TABLE {table} SET ({})", as_sql(option)),
            None => format!("ALTER TABLE {table} RESET ({NO_VACUUM})"),
        }
    }

    /// A row of the partition that the run does not replace, in words.
    pub fn foreign_row(
        &self,
        client: &mut impl GenericClient,
        target: &Target,
        days: &[super::choice::DayOfRun],
    ) -> Result<Option<String>, Failure> {
        let costs = if target.has_raw_cost { "old.infrastructure_raw_cost <> 0" } else { "false" };
        let dates: Vec<String> = days.iter().map(|day| day.date.to_string()).collect();
        let periods: Vec<i32> = days.iter().map(|day| day.report_period_id).collect();
        let query = format!(
            "SELECT to_char(old.usage_start, 'YYYY-MM-DD'), old.report_period_id, {costs} IS TRUE \
             FROM ONLY {table} old \
             LEFT JOIN unnest($1::text[]::date[], $2::int4[]) new(day, period) \
               ON new.day = old.usage_start AND new.period = old.report_period_id \
             WHERE new.day IS NULL OR {costs} LIMIT 1",
            table = self.table
        );
        let convert = |row: Row| {
            let (date, period): (String, Option<i32>) = (row.try_get(0)?, row.try_get(1)?);
            let period = period.map_or_else(|| "none".to_owned(), |period| period.to_string());
            let kept = if row.try_get(2)? { " with costs of a cloud" } else { "" };
            Ok(format!(
                "{} has rows that this run does not replace, such as one of {date} and report \
                 period {period}{kept}",
                self.name
            ))
        };
        client
            .query_opt(&query, &[&dates, &periods])
            .and_then(|row| row.map(convert).transpose())
            .map_err(Failure::of("looking for rows of others"))
    }
}

/// Everything about a table but its rows: by part, and for parts of many by name, a JSON text.
pub(super) type Description = BTreeMap<(String, String), String>;

pub(super) fn description(
    client: &mut impl GenericClient,
    oid: u32,
) -> Result<Description, postgres::Error> {
    let rows = client.query(DESCRIBE, &[&oid])?;
    rows.iter().map(|row| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?))).collect()
}

/// The first that one table has in another way than the other, or has alone.
pub(super) fn difference(before: &Description, after: &Description) -> Option<String> {
    let names = before.keys().chain(after.keys());
    let name = names.filter(|&name| before.get(name) != after.get(name)).min();
    name.map(|(part, name)| format!("{part} {name}").trim_end().to_owned())
}

/// The oid of the table that `load` filled.
pub(super) fn oid_of(client: &mut impl GenericClient, load: &Load) -> Result<u32, postgres::Error> {
    client
        .query_one("SELECT $1::text::regclass::oid", &[&load.table()])
        .and_then(|row| row.try_get(0))
}

fn option_name(option: &str) -> &str {
    option.split_once('=').map_or(option, |(name, _)| name)
}

/// `name=value` as SQL text.
fn as_sql(option: &str) -> String {
    let (name, value) = option.split_once('=').unwrap_or((option, "true"));
    format!("{name} = '{}'", value.replace('\'', "''"))
}

/// The partition of the summary table $1 with the bounds $2, its storage parameters (those of its
/// toast table too), and what stands against replacing it.
const FIND: &str = "\
SELECT c.oid, c.relname::text,
  ARRAY(SELECT unnest(c.reloptions)
        UNION ALL
        SELECT 'toast.' || unnest(t.reloptions) FROM pg_class t WHERE t.oid = c.reltoastrelid),
  CASE
    WHEN c.relkind <> 'r' THEN 'is no ordinary table'
    WHEN c.relpersistence <> 'p' THEN 'is no permanent table'
    WHEN c.relnamespace <> p.relnamespace THEN 'lies in another schema'
    WHEN NOT pg_has_role(c.relowner, 'USAGE') OR NOT pg_has_role(p.relowner, 'USAGE')
      THEN 'or the summary table is not owned by the database user'
    WHEN NOT has_schema_privilege(c.relnamespace, 'CREATE')
      THEN 'lies in a schema where the database user may not create tables'
    WHEN EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid) THEN 'has rules'
    WHEN c.relrowsecurity THEN 'has row-level security'
    WHEN EXISTS (SELECT FROM pg_trigger
                 WHERE tgrelid = c.oid AND NOT tgisinternal AND tgparentid = 0)
      THEN 'has triggers of its own'
    WHEN EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid IN (c.oid, p.oid))
      THEN 'or the summary table is referred to by foreign keys'
    WHEN EXISTS (SELECT FROM pg_constraint WHERE conrelid = c.oid
                 AND (contype = 'x' OR contype IN ('p', 'u') AND condeferrable))
      THEN 'has an exclusion constraint or a deferrable key'
    WHEN EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND NOT (indisvalid AND indisready))
      THEN 'has an index that is not valid'
    WHEN EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_class'::regclass
                 AND refobjid = c.oid AND classid = 'pg_rewrite'::regclass)
      THEN 'is what a view reads'
    WHEN EXISTS (SELECT FROM pg_publication_rel WHERE prrelid = c.oid)
      THEN 'is published by itself'
    WHEN EXISTS (SELECT FROM pg_statistic_ext WHERE stxrelid = c.oid)
      THEN 'has extended statistics of its own'
    WHEN EXISTS (SELECT FROM pg_seclabel
                 WHERE classoid = 'pg_class'::regclass AND objoid = c.oid)
      THEN 'has a security label'
  END
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
JOIN pg_class p ON p.oid = i.inhparent
WHERE i.inhparent = $1 AND pg_get_expr(c.relpartbound, c.oid) = $2";

/// Everything about the table $1 but its rows and numbers of its own: part, name within it, value.
/// Options of columns that begin with `pg_` are a server's own notes, and new in each table.
const DESCRIBE: &str = "\
SELECT part, coalesce(name, ''), coalesce(of_name, of_part)::text
FROM (SELECT jsonb_build_object(
  'name', c.relname,
  'schema', c.relnamespace::regnamespace,
  'bounds', pg_get_expr(c.relpartbound, c.oid),
  'owner', c.relowner::regrole,
  'storage', jsonb_build_array(c.relkind, c.relpersistence, c.relam, c.reltablespace),
  'options', (SELECT jsonb_agg(o ORDER BY o) FROM unnest(c.reloptions) o),
  'toast options', (SELECT jsonb_agg(o ORDER BY o) FROM pg_class t, unnest(t.reloptions) o
                    WHERE t.oid = c.reltoastrelid),
  'replica identity', c.relreplident,
  'comment', obj_description(c.oid, 'pg_class'),
  'privileges', (SELECT jsonb_agg(jsonb_build_array(grantor, grantee, privilege_type, is_grantable)
                                  ORDER BY grantor, grantee, privilege_type)
                 FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner)))),
  'columns', (SELECT jsonb_object_agg(a.attname, jsonb_build_array(
                a.atttypid::regtype, a.atttypmod, a.attcollation, a.attnotnull, a.attidentity,
                a.attgenerated, a.attstorage, a.attcompression, a.attstattarget,
                (SELECT jsonb_agg(o ORDER BY o) FROM unnest(a.attoptions) o
                 WHERE NOT starts_with(o, 'pg_')),
                a.attacl, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)))
              FROM pg_attribute a
              LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'constraints', (SELECT jsonb_object_agg(conname, jsonb_build_array(
                    contype, convalidated, pg_get_constraintdef(oid)))
                  FROM pg_constraint WHERE conrelid = c.oid),
  'indexes', (SELECT jsonb_object_agg(x.relname, jsonb_build_array(
                pg_get_indexdef(x.oid), x.reltablespace, x.relispartition, i.indisprimary,
                i.indisclustered, i.indisreplident, i.indisvalid))
              FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
              WHERE i.indrelid = c.oid),
  'triggers', (SELECT jsonb_object_agg(tgname, tgenabled) FROM pg_trigger
               WHERE tgrelid = c.oid AND NOT tgisinternal)
) AS parts FROM pg_class c WHERE c.oid = $1) described,
jsonb_each(parts) AS p (part, of_part)
LEFT JOIN LATERAL jsonb_each(
  CASE jsonb_typeof(of_part) WHEN 'object' THEN of_part ELSE '{}' END
) AS n (name, of_name) ON true";
