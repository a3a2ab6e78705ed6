//! The report period, cluster id and alias that the rows of a source's month carry.

use std::collections::BTreeMap;

use postgres::Client;
use uuid::Uuid;

use super::{LookupsError, ReportPeriod, postgres as tables};
use crate::plan::Unit;
use crate::plan::discover::MonthMeta;
use crate::settings::{Month, Settings, SinkTo};

#[derive(Debug, thiserror::Error)]
pub enum PeriodError {
    #[error(
        "reporting_ocpusagereportperiod has no period of provider {provider} for {month}: have \
         Koku process the source first, or give --report-period-id"
    )]
    None { provider: Uuid, month: Month },

    #[error(
        "reporting_ocpusagereportperiod has several periods of provider {provider} for {month} \
         (ids {ids}): say which with --report-period-id"
    )]
    Several { provider: Uuid, month: Month, ids: String },

    #[error(
        "report period {id} does not belong to provider {provider} and {month} but to provider \
         {owner} and {owner_month}, whose rows would be replaced: leave --report-period-id out to \
         have it looked up, or correct it"
    )]
    Foreign { id: i32, provider: Uuid, month: Month, owner: Uuid, owner_month: Month },

    #[error(
        "there is no report period {id}, and that of provider {provider} for {month} is {other}, whose rows \
         would stay beside the new ones: leave --report-period-id out to have it looked up, or correct it"
    )]
    Unknown { id: i32, provider: Uuid, month: Month, other: i32 },

    #[error(transparent)]
    Lookups(#[from] LookupsError),
}

/// By source and month.
pub type Periods = BTreeMap<(Uuid, Month), MonthMeta>;

/// Settles what the rows carry: as given, else as the database says. Where neither does, periods
/// are numbered 1, 2, … by month for a file, and missing for the database: see [`require`].
pub fn settle(settings: &Settings, client: Option<&mut Client>) -> Result<Periods, PeriodError> {
    let months = settings.months();
    let mut known: BTreeMap<(Uuid, Month), Vec<ReportPeriod>> = BTreeMap::new();
    if let Some(client) = client {
        check_given(settings, client)?;
        for &provider in &settings.provider_uuids {
            let schema = &settings.postgres.schema;
            let (first, last) = (months[0], months[months.len() - 1]);
            let periods = tables::report_periods(
                client,
                schema,
                provider,
                first.first_day(),
                last.first_day(),
            )?;
            for period in periods {
                known.entry((provider, Month::of(period.start))).or_default().push(period);
            }
        }
    }
    let mut settled = Periods::new();
    for &provider in &settings.provider_uuids {
        for (index, &month) in months.iter().enumerate() {
            let periods = known.get(&(provider, month)).map_or(&[][..], Vec::as_slice);
            let period = match (settings.report_period_id, periods) {
                (Some(id), _) => periods.iter().find(|p| p.id == id),
                (None, [only]) => Some(only),
                (None, []) => None,
                (None, several) => {
                    let ids: Vec<String> = several.iter().map(|p| p.id.to_string()).collect();
                    return Err(PeriodError::Several { provider, month, ids: ids.join(", ") });
                }
            };
            let numbered = (settings.sink != SinkTo::Postgres).then_some(index as i32 + 1);
            let id = settings.report_period_id.or(period.map(|p| p.id));
            let meta = MonthMeta {
                report_period_id: id.or(numbered),
                cluster_id: settings
                    .cluster_id
                    .clone()
                    .or_else(|| period.map(|p| p.cluster_id.clone())),
                cluster_alias: settings
                    .cluster_alias
                    .clone()
                    .or_else(|| period.and_then(|p| p.cluster_alias.clone())),
            };
            settled.insert((provider, month), meta);
        }
    }
    Ok(settled)
}

/// A period of another source or month is never meant: its rows would be deleted. Nor is one that is
/// not there beside one that is: the month would count twice.
fn check_given(settings: &Settings, client: &mut Client) -> Result<(), PeriodError> {
    // One period is one source's and one month's; the settings see to that.
    let (Some(id), [provider]) = (settings.report_period_id, &settings.provider_uuids[..]) else {
        return Ok(());
    };
    let month = Month::of(settings.from);
    let schema = &settings.postgres.schema;
    let Some(period) = tables::report_period(client, schema, id)? else {
        let day = month.first_day();
        return match &tables::report_periods(client, schema, *provider, day, day)?[..] {
            [] => Ok(()),
            [other, ..] => {
                Err(PeriodError::Unknown { id, provider: *provider, month, other: other.id })
            }
        };
    };
    let (owner, owner_month) = (period.provider_id, Month::of(period.start));
    if (owner, owner_month) == (*provider, month) {
        return Ok(());
    }
    Err(PeriodError::Foreign { id, provider: *provider, month, owner, owner_month })
}

/// Asserts that every day to be written has a report period.
pub fn require(units: &[Unit]) -> Result<(), PeriodError> {
    match units.iter().find(|unit| unit.meta.report_period_id.is_none()) {
        None => Ok(()),
        Some(unit) => Err(PeriodError::None {
            provider: unit.meta.source_uuid,
            month: Month::of(unit.meta.date),
        }),
    }
}
