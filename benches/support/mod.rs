//! A day of made-up rows, read and at hand.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ocp_rollup::aggregate::partial::Partial;
use ocp_rollup::cli::demo::GivenFlags;
use ocp_rollup::decode::row_group::{Buffers, Days, Reading, Segment, add_rows};
use ocp_rollup::decode::schema::Part;
use ocp_rollup::generate;
use ocp_rollup::lookups;
use ocp_rollup::memory::permits::Permits;
use ocp_rollup::plan::Plan;
use ocp_rollup::plan::chunks::{Next, Schedule};
use ocp_rollup::plan::discover::{self, MonthMeta};
use ocp_rollup::read::reader::{FetchedChunk, Reader};
use ocp_rollup::settings::{self, load};
use ocp_rollup::store::Store;
use ocp_rollup::summary::finish::Tenant;

/// For hashes: the same in every run.
pub const SEED: u64 = 7;

pub struct Day {
    pub plan: Plan,
    pub tenant: Tenant,
    /// All row groups of the day, in memory.
    pub chunks: Vec<FetchedChunk>,
}

/// One day of 25 nodes: about 34 thousand pod rows.
pub fn day(folder: &Path) -> Day {
    let plan = ocp_rollup::bench::data::plan(folder, 1, 25);
    generate::run(&plan).expect("rows are made");
    let flags = ocp_rollup::bench::data::flags(&plan)
        .into_iter()
        .fold(GivenFlags::default(), |flags, (name, value)| flags.with(name, value))
        .with_path("sink", Path::new("csv:unused"));
    let settings = settings::settle(&flags, &|_| None, None, load::today())
        .expect("the flags are right")
        .settings;
    let never = Arc::new(AtomicBool::new(false));
    let store = Store::open(&settings.input, &never).expect("the folder is there");
    let lookups = lookups::csv::load(&folder.join("lookups")).expect("the lookups are there");
    let tenant = Tenant::new(&lookups, settings.aggregation).expect("the patterns are right");
    let plan = discover::plan(&settings, &store, &|_, _| MonthMeta::default()).expect("a plan");
    let mut schedule = Schedule::new(&plan.groups, 1);
    let mut reader = Reader::new(&plan, &store, false, u64::MAX);
    let permits = Permits::new(u64::MAX);
    let mut chunks = Vec::new();
    while let Next::Chunk(chunk) = schedule.next(usize::MAX, usize::MAX) {
        let permit = permits.acquire(0, &|| false).expect("nothing is held");
        let pending = reader.start(chunk, permit);
        chunks.push(reader.finish(pending).expect("the files can be read"));
    }
    drop(reader);
    Day { plan, tenant, chunks }
}

impl Day {
    pub fn segments(&self, part: Part) -> Vec<&Segment> {
        let all = self.chunks.iter().flat_map(|chunk| &chunk.segments);
        all.map(|(_, segment)| segment).filter(|segment| segment.file.part == part).collect()
    }

    /// The state of all rows of a part, however the day is cut.
    pub fn state(&self, segments: &[&Segment]) -> Partial {
        let mut states = One(Partial::empty(SEED));
        let reading = Reading { categorical: true, all_columns: false };
        let mut buffers = Buffers::default();
        for segment in segments {
            let added = add_rows(segment, &self.tenant, reading, &mut states, &mut buffers);
            assert!(added.is_ok(), "the rows can be read");
        }
        states.0
    }

    /// The state of the whole day.
    pub fn whole(&self) -> Partial {
        let all: Vec<&Segment> = self
            .chunks
            .iter()
            .flat_map(|chunk| &chunk.segments)
            .map(|(_, segment)| segment)
            .collect();
        self.state(&all)
    }
}

struct One(Partial);

impl Days for One {
    type Error = ();

    fn state(&mut self, _: i64) -> Result<Option<&mut Partial>, ()> {
        Ok(Some(&mut self.0))
    }
}
