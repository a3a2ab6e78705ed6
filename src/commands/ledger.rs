//! What a run has to do with the ledger.

use anyhow::Result;
use postgres::Client;

use crate::ledger::{Access, Ledger, LedgerError, Recorder, State, fingerprint};
use crate::lookups::Lookups;
use crate::plan::Plan;
use crate::settings::Settings;
use crate::sink::postgres::TABLE;

/// What is to be recorded of the days of `plan`, from which those are taken that are done already
/// and need not be done again. When it fails, `plan` is as it was.
pub fn begin(
    settings: &Settings,
    client: &mut Client,
    lookups: &Lookups,
    plan: &mut Plan,
) -> Result<Option<Recorder>, LedgerError> {
    if !settings.ledger {
        return forgetting(settings, client);
    }
    let ledger = Ledger::open(client, &settings.postgres.schema, TABLE)?;
    let mut made_of = fingerprint::of_plan(plan, settings, lookups);
    if settings.incremental {
        let sources = &settings.provider_uuids;
        let entries = ledger.entries(client, sources, settings.from, settings.to)?;
        let done: Vec<bool> = plan
            .units
            .iter()
            .zip(&made_of)
            .map(|(unit, now)| {
                let entry = entries.get(&(unit.meta.source_uuid, unit.meta.date));
                State::of(Some(now), entry) == State::Done
            })
            .collect();
        plan.leave_out(&done);
        let mut done = done.iter();
        made_of.retain(|_| done.next() != Some(&true));
        let (unchanged, left) = (plan.unchanged, plan.units.len());
        tracing::info!(unchanged, left, "{unchanged} days are unchanged, {left} are to be done");
    }
    Ok(Some(Recorder::new(ledger, plan, made_of)))
}

fn forgetting(settings: &Settings, client: &mut Client) -> Result<Option<Recorder>, LedgerError> {
    match Ledger::find(client, &settings.postgres.schema, TABLE, Access::Write) {
        Ok(ledger) => Ok(ledger.map(Recorder::forgetting)),
        Err(error @ (LedgerError::NoPrivilege { .. } | LedgerError::Foreign { .. })) => {
            tracing::warn!(
                "days that are written now cannot be taken out of the ledger, which goes on to say \
                 what their old rows were made of: {error}"
            );
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
