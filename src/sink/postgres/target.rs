//! The table the rows go to, as the catalogue describes it.

use postgres::{Client, Row};

use super::PostgresError;
use crate::database::{DatabaseError, qualify};
use crate::summary::columns::{COLUMNS, Column, ColumnType};

/// The summary table's name in every tenant schema.
pub const TABLE: &str = "reporting_ocpusagelineitem_daily_summary";

/// Columns by which a day is found again; without them no day can be replaced.
const REQUIRED: [&str; 3] = ["uuid", "report_period_id", "usage_start"];

/// The summary table of one tenant.
#[derive(Debug)]
pub struct Target {
    pub schema: String,
    /// Schema-qualified and quoted.
    pub table: String,
    pub oid: u32,
    /// `PARTITION BY RANGE (usage_start)`.
    pub by_day: bool,
    /// Computed columns that the table has, in the order they are copied after `uuid`.
    pub columns: Vec<TargetColumn>,
    /// Computed columns that the table lacks.
    pub absent: Vec<Column>,
    pub has_raw_cost: bool,
}

/// A column of the table that the program fills.
#[derive(Debug, Clone, Copy)]
pub struct TargetColumn {
    pub column: Column,
    /// The `n` of `varchar(n)`.
    pub limit: Option<usize>,
}

impl Target {
    /// Reads the catalogue and refuses a table that cannot take the rows.
    pub fn read(client: &mut Client, schema: &str) -> Result<Self, PostgresError> {
        let table = qualify(schema, TABLE);
        let relation = relation(client, schema)?;
        let relation = relation
            .ok_or_else(|| PostgresError::NoTable { schema: schema.to_owned(), table: TABLE })?;
        relation.check(&table)?;
        let columns = catalogue_columns(client, relation.oid, &table)?;
        let find = |name: &str| columns.iter().find(|column| column.name == name);
        for column in REQUIRED {
            if find(column).is_none() {
                return Err(PostgresError::ColumnRequired { table, column });
            }
        }
        let mut target = Target {
            schema: schema.to_owned(),
            table,
            oid: relation.oid,
            by_day: relation.partition_key.as_deref() == Some("RANGE (usage_start)"),
            columns: Vec::with_capacity(COLUMNS.len()),
            absent: Vec::new(),
            has_raw_cost: find("infrastructure_raw_cost").is_some(),
        };
        for column in COLUMNS {
            if !column.is_computed() || column.staging_only {
                continue;
            }
            match find(column.name) {
                Some(found) => {
                    let expected = expected_types(column.column_type);
                    found.check_type(&target.table, expected)?;
                    target.columns.push(TargetColumn { column, limit: found.limit });
                }
                None => target.absent.push(column),
            }
        }
        if let Some(uuid) = find("uuid") {
            uuid.check_type(&target.table, expected_types(ColumnType::Uuid))?;
        }
        target.check_unknown(&columns)?;
        target.warn_of_absent();
        Ok(target)
    }

    /// `uuid` and the columns that the program fills, as SQL text.
    pub fn column_list(&self) -> String {
        let mut list = "uuid".to_owned();
        for TargetColumn { column, .. } in &self.columns {
            list.push_str(", ");
            list.push_str(column.name);
        }
        list
    }

    /// COPY of those columns into a table that has them.
    pub fn copy_statement(&self, table: &str) -> String {
        format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", self.column_list())
    }

    fn check_unknown(&self, columns: &[CatalogueColumn]) -> Result<(), PostgresError> {
        let filled =
            |name: &str| name == "uuid" || self.columns.iter().any(|c| c.column.name == name);
        for column in columns.iter().filter(|column| !filled(&column.name)) {
            if column.required {
                let (table, column) = (self.table.clone(), column.name.clone());
                return Err(PostgresError::ColumnUnknown { table, column });
            }
            if COLUMNS.iter().all(|known| known.staging_only || known.name != column.name) {
                tracing::debug!(table = %self.table, column = %column.name, "left a column alone");
            }
        }
        Ok(())
    }

    fn warn_of_absent(&self) {
        for column in &self.absent {
            tracing::warn!(
                table = %self.table,
                column = column.name,
                "the table lacks a column: rows go in without it as long as they have no value there"
            );
        }
    }
}

struct Relation {
    oid: u32,
    kind: String,
    partition_key: Option<String>,
    may: [(bool, &'static str); 3],
    read_only: bool,
}

impl Relation {
    fn check(&self, table: &str) -> Result<(), PostgresError> {
        // Ordinary and partitioned.
        if !matches!(self.kind.as_str(), "r" | "p") {
            let (table, kind) = (table.to_owned(), self.kind.clone());
            return Err(PostgresError::NotATable { table, kind });
        }
        if self.read_only {
            return Err(PostgresError::ReadOnly);
        }
        match self.may.iter().find(|(granted, _)| !granted) {
            Some(&(_, privilege)) => {
                Err(PostgresError::NoPrivilege { table: table.to_owned(), privilege })
            }
            None => Ok(()),
        }
    }
}

fn relation(client: &mut Client, schema: &str) -> Result<Option<Relation>, DatabaseError> {
    let convert = |row: Row| {
        Ok(Relation {
            oid: row.try_get(0)?,
            kind: row.try_get(1)?,
            partition_key: row.try_get(2)?,
            may: [
                (row.try_get(3)?, "SELECT"),
                (row.try_get(4)?, "INSERT"),
                (row.try_get(5)?, "DELETE"),
            ],
            read_only: row.try_get(6)?,
        })
    };
    client
        .query_opt(
            "SELECT c.oid, c.relkind::text, pg_catalog.pg_get_partkeydef(c.oid), \
                    has_any_column_privilege(c.oid, 'SELECT'), \
                    has_any_column_privilege(c.oid, 'INSERT'), \
                    has_table_privilege(c.oid, 'DELETE'), \
                    current_setting('transaction_read_only') = 'on' \
             FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = $2",
            &[&schema, &TABLE],
        )
        .and_then(|row| row.map(convert).transpose())
        .map_err(|source| DatabaseError::querying("looking for the summary table", source))
}

struct CatalogueColumn {
    name: String,
    type_name: String,
    limit: Option<usize>,
    /// Not null and without any default.
    required: bool,
}

impl CatalogueColumn {
    fn check_type(&self, table: &str, expected: &[&'static str]) -> Result<(), PostgresError> {
        if expected.contains(&self.type_name.as_str()) {
            return Ok(());
        }
        Err(PostgresError::ColumnType {
            table: table.to_owned(),
            column: self.name.clone(),
            expected: expected[0],
            found: self.type_name.clone(),
        })
    }
}

fn catalogue_columns(
    client: &mut Client,
    oid: u32,
    table: &str,
) -> Result<Vec<CatalogueColumn>, DatabaseError> {
    let convert = |row: &Row| {
        let type_name: String = row.try_get(1)?;
        let modifier: i32 = row.try_get(2)?;
        // The catalogue counts four bytes of length in.
        let limit = (type_name == "varchar").then(|| usize::try_from(modifier - 4).ok()).flatten();
        Ok(CatalogueColumn { name: row.try_get(0)?, type_name, limit, required: row.try_get(3)? })
    };
    client
        .query(
            "SELECT a.attname::text, t.typname::text, a.atttypmod, \
                    a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' \
             FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
             WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            &[&oid],
        )
        .and_then(|rows| rows.iter().map(convert).collect())
        .map_err(|source| {
            DatabaseError::querying(format!("reading the columns of {table}"), source)
        })
}

/// Names in `pg_type` that take the encoding of `column_type`.
fn expected_types(column_type: ColumnType) -> &'static [&'static str] {
    match column_type {
        ColumnType::Integer => &["int4"],
        ColumnType::Text => &["varchar", "text"],
        ColumnType::Date => &["date"],
        ColumnType::Numeric => &["numeric"],
        ColumnType::Json => &["jsonb"],
        ColumnType::Uuid => &["uuid"],
    }
}
