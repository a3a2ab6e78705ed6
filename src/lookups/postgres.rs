//! Lookups from the tenant's tables.

use ::postgres::{Client, Row};
use chrono::{Datelike, Months, NaiveDate};
use uuid::Uuid;

use super::{CategoryPattern, Lookups, LookupsError, NodeRole, ReportPeriod};
use crate::database::{DatabaseError, qualify};

/// Reads the enabled keys, category patterns and node roles of `schema`.
///
/// # Errors
/// A missing table or column, a missing privilege, a lost connection: each names the table.
pub fn load(client: &mut Client, schema: &str) -> Result<Lookups, LookupsError> {
    let enabled_keys = read(
        client,
        &qualify(schema, "reporting_enabledtagkeys"),
        "SELECT key::text FROM {table} WHERE enabled AND provider_type = 'OCP' ORDER BY 1",
        |row| row.try_get(0),
    )?;
    let categories = read(
        client,
        &qualify(schema, "reporting_ocp_cost_category_namespace"),
        "SELECT namespace::text, cost_category_id::int4 FROM {table} ORDER BY 1, 2",
        |row| Ok(CategoryPattern { pattern: row.try_get(0)?, cost_category_id: row.try_get(1)? }),
    )?;
    let nodes = read(
        client,
        &qualify(schema, "reporting_ocp_nodes"),
        "SELECT node::text, resource_id::text, node_role::text FROM {table} ORDER BY 1, 2, 3",
        |row| {
            Ok(NodeRole {
                node: row.try_get(0)?,
                resource_id: row.try_get(1)?,
                role: row.try_get(2)?,
            })
        },
    )?;
    Ok(Lookups { enabled_keys, categories, nodes })
}

fn read<T>(
    client: &mut Client,
    table: &str,
    query: &str,
    convert: impl Fn(&Row) -> Result<T, ::postgres::Error>,
) -> Result<Vec<T>, DatabaseError> {
    client
        .query(&query.replace("{table}", table), &[])
        .and_then(|rows| rows.iter().map(convert).collect())
        .map_err(|source| DatabaseError::querying(format!("reading {table}"), source))
}

/// The report periods of `provider` whose month lies from that of `from_month` to that of
/// `to_month`, by month. A period's month is that of the UTC date of its start.
///
/// # Errors
/// As for [`load`].
pub fn report_periods(
    client: &mut Client,
    schema: &str,
    provider: Uuid,
    from_month: NaiveDate,
    to_month: NaiveDate,
) -> Result<Vec<ReportPeriod>, LookupsError> {
    let periods = read_periods(client, schema, "provider_id", &provider.to_string())?;
    let first = from_month.with_day(1).unwrap_or(from_month);
    let end = to_month.with_day(1).and_then(|month| month.checked_add_months(Months::new(1)));
    let asked = |p: &ReportPeriod| p.start >= first && end.is_none_or(|end| p.start < end);
    Ok(periods.into_iter().filter(asked).collect())
}

/// The report period `id`.
///
/// # Errors
/// As for [`load`].
pub fn report_period(
    client: &mut Client,
    schema: &str,
    id: i32,
) -> Result<Option<ReportPeriod>, LookupsError> {
    Ok(read_periods(client, schema, "id", &id.to_string())?.pop())
}

/// The report periods whose `column`, as a text, is `value`.
fn read_periods(
    client: &mut Client,
    schema: &str,
    column: &str,
    value: &str,
) -> Result<Vec<ReportPeriod>, DatabaseError> {
    let table = qualify(schema, "reporting_ocpusagereportperiod");
    let query = format!(
        "SELECT id::int4, cluster_id::text, cluster_alias::text, \
                (date_part('year', report_period_start AT TIME ZONE 'UTC'))::int4, \
                (date_part('month', report_period_start AT TIME ZONE 'UTC'))::int4, \
                provider_id::text \
         FROM {table} WHERE {column}::text = $1 AND isfinite(report_period_start) \
         ORDER BY report_period_start, id"
    );
    client
        .query(&query, &[&value])
        .and_then(|rows| rows.iter().filter_map(|row| period(row).transpose()).collect())
        .map_err(|source| DatabaseError::querying(format!("reading {table}"), source))
}

/// `None` for a start in a year that no calendar date here can hold, or without a provider.
fn period(row: &Row) -> Result<Option<ReportPeriod>, ::postgres::Error> {
    let (year, month): (Option<i32>, Option<i32>) = (row.try_get(3)?, row.try_get(4)?);
    let start = year
        .zip(month)
        .and_then(|(year, month)| NaiveDate::from_ymd_opt(year, u32::try_from(month).ok()?, 1));
    let provider: Option<String> = row.try_get(5)?;
    let provider = provider.and_then(|text| Uuid::parse_str(&text).ok());
    let Some((start, provider_id)) = start.zip(provider) else { return Ok(None) };
    Ok(Some(ReportPeriod {
        id: row.try_get(0)?,
        cluster_id: row.try_get(1)?,
        cluster_alias: row.try_get(2)?,
        start,
        provider_id,
    }))
}
