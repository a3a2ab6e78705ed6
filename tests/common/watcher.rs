//! Looks at a table from a second connection all the while that something writes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use ocp_rollup::database;
use ocp_rollup::settings::Postgres;
use postgres::Client;

/// What a day looks like: how many rows, and a sum of their hashes but for their uuids.
pub type Days = BTreeMap<String, String>;

const QUERY: &str = "SELECT usage_start::text, count(*) || ' ' || \
    sum(hashtextextended((to_jsonb(t) - 'uuid')::text, 0)::numeric) \
    FROM reporting_ocpusagelineitem_daily_summary t GROUP BY 1";

/// All days of the summary; `client` looks at the tenant's schema.
pub fn days(client: &mut Client) -> Days {
    look(client).unwrap()
}

fn look(client: &mut Client) -> Result<Days, postgres::Error> {
    Ok(client.query(QUERY, &[])?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// A thread that looks again and again.
pub struct Watcher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, Vec<String>)>,
}

impl Watcher {
    /// Each day must be one of `old` and `new`, whole, whenever it is looked at. A server that is
    /// away is waited for.
    pub fn start(tenant: &Postgres, old: &Days, new: &Days) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (tenant, old, new) = (tenant.clone(), old.clone(), new.clone());
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut looks, mut partial) = (0, Vec::new());
            let mut client = None;
            while !stopped.load(Ordering::Relaxed) {
                let Some(connection) = &mut client else {
                    client = connect(&tenant);
                    continue;
                };
                match look(connection) {
                    Ok(days) => {
                        looks += 1;
                        partial.extend(wrong(&days, &old, &new));
                    }
                    Err(_) => client = None,
                }
            }
            (looks, partial)
        });
        Watcher { stop, thread }
    }

    /// How often it has looked; fails if it saw a day that was neither old nor new.
    #[track_caller]
    pub fn saw_only_whole_days(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let (looks, partial) = self.thread.join().unwrap();
        assert!(partial.is_empty(), "in {looks} looks: {partial:?}");
        looks
    }
}

fn connect(tenant: &Postgres) -> Option<Client> {
    let mut client = database::connect(tenant).ok()?;
    let schema = database::quote_identifier(&tenant.schema);
    let set = format!("SET application_name = 'watcher'; SET search_path = {schema}");
    client.batch_execute(&set).ok()?;
    Some(client)
}

fn wrong(days: &Days, old: &Days, new: &Days) -> Vec<String> {
    let all = old.keys().chain(new.keys());
    all.filter(|day| {
        let seen = days.get(*day);
        seen != old.get(*day) && seen != new.get(*day)
    })
    .map(|day| format!("{day}: {:?}", days.get(day)))
    .collect()
}
