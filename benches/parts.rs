//! The parts of a run, each by itself, on a day of made-up rows.
//!
//!     cargo bench --bench parts -- --save-baseline before
//!     cargo bench --bench parts -- --save-baseline after
//!     scripts/bench_compare.py before after
#![allow(clippy::expect_used, reason = "a bench that cannot work ends")]

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ocp_rollup::aggregate::exact::{CORE_SECONDS, Sum, UNSETTLED};
use ocp_rollup::aggregate::interner::Interner;
use ocp_rollup::aggregate::partial::Partial;
use ocp_rollup::decode::error::Place;
use ocp_rollup::decode::pages::PageColumn;
use ocp_rollup::decode::row_group::Segment;
use ocp_rollup::decode::schema::{Kind, Part};
use ocp_rollup::labels::keys::EnabledKeys;
use ocp_rollup::labels::parse;
use ocp_rollup::labels::sets::LabelSets;
use ocp_rollup::lookups::Lookups;
use ocp_rollup::settings::NullRules;
use ocp_rollup::sink::postgres::encode;
use ocp_rollup::summary::columns::{COLUMNS, DayTexts, Value};
use ocp_rollup::summary::finish::finish;
use ocp_rollup::summary::row::RowBatch;

mod support;

use support::{Day, SEED};

fn parts(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let day = support::day(folder.path());
    pages(criterion, &day);
    labels(criterion);
    sums(criterion);
    groups(criterion, &day);
    rows(criterion, &day);
}

/// The columns of numbers of the pod rows, from compressed pages to doubles.
fn pages(criterion: &mut Criterion, day: &Day) {
    let segments = day.segments(Part::Pods);
    let mut group = criterion.benchmark_group("pages");
    let rows: usize = segments.iter().map(|segment| segment.rows.len()).sum();
    group.throughput(Throughput::Elements(rows as u64));
    group.bench_function("numbers", |bencher| {
        let mut out = Vec::new();
        bencher.iter(|| segments.iter().map(|segment| numbers(segment, &mut out)).sum::<usize>());
    });
    group.finish();
}

fn numbers(segment: &Segment, out: &mut Vec<f64>) -> usize {
    let row_group = segment.metadata.row_group(segment.row_group);
    let mut values = 0;
    for found in segment.file.columns.iter().filter(|found| found.wanted.kind == Kind::Number) {
        let Some(leaf) = found.leaf else { continue };
        let place =
            Place { object: segment.file.object.clone(), row_group: 0, column: found.wanted.name };
        let rows = segment.rows.len();
        let chunk = row_group.column(leaf);
        let bytes = segment.bytes.clone();
        let mut column = PageColumn::new(bytes, chunk, rows, place, &mut Vec::new())
            .expect("the column is there");
        let mut left = rows;
        while left > 0 {
            let count = column.available().expect("the page can be read").min(left).min(4096);
            out.clear();
            column.numbers(count, out).expect("the values can be read");
            values += black_box(&*out).len();
            left -= count;
        }
    }
    values
}

/// A label text of a pod, as the generator and the operator write them.
const LABELS: &str = r#"{"app": "invoices-cache-1437", "app_kubernetes_io_component": "cache", "app_kubernetes_io_instance": "invoices-cache-1437-release", "app_kubernetes_io_managed_by": "Helm", "app_kubernetes_io_name": "cache", "pod_template_hash": "lc6cb9cbpj", "team": "partners", "version": "2.4"}"#;

fn labels(criterion: &mut Criterion) {
    let lookups = Lookups {
        enabled_keys: ["app", "environment", "region", "team", "tier", "version"]
            .map(str::to_owned)
            .to_vec(),
        ..Lookups::default()
    };
    let keys = EnabledKeys::new(&lookups, NullRules::SelfHosted);
    let mut group = criterion.benchmark_group("labels");
    group.bench_function("parse", |bencher| {
        let mut pairs = Vec::new();
        bencher.iter(|| {
            parse::parse(black_box(LABELS), &keys, &mut pairs).expect("a label object");
            pairs.len()
        });
    });
    let mut texts = Interner::new(SEED);
    let mut sets = LabelSets::default();
    let mut set = |text: &str| {
        let mut pairs = Vec::new();
        parse::parse(text, &keys, &mut pairs).expect("a label object");
        sets.intern(&pairs, &mut texts)
    };
    let node = set(r#"{"region": "eu-central-1", "tier": "standard"}"#);
    let namespace = set(r#"{"team": "platform", "environment": "prod"}"#);
    let pod = set(LABELS);
    group.bench_function("merge", |bencher| {
        bencher.iter(|| sets.merge_all(black_box(&[node, namespace, pod])));
    });
    group.finish();
}

fn sums(criterion: &mut Criterion) {
    // Values as usage has them, by a generator that is the same everywhere.
    let values: Vec<f64> = (0..4096u64)
        .map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1u64 << 40) as f64)
        .collect();
    let mut group = criterion.benchmark_group("sums");
    group.throughput(Throughput::Elements(values.len() as u64));
    group.bench_function("exact", |bencher| {
        bencher.iter(|| {
            let mut sum = Sum::default();
            let mut outside = 0;
            for values in black_box(&values).chunks(UNSETTLED as usize) {
                for &value in values {
                    match Sum::of(value, CORE_SECONDS) {
                        (parts, true) => sum.add_small(parts),
                        (_, false) => outside += 1,
                    }
                }
                outside += usize::from(!sum.settle());
            }
            (sum, outside)
        });
    });
    group.finish();
}

fn groups(criterion: &mut Criterion, day: &Day) {
    let segments = day.segments(Part::Pods);
    let rows: usize = segments.iter().map(|segment| segment.rows.len()).sum();
    let mut group = criterion.benchmark_group("groups");
    group.sample_size(20).throughput(Throughput::Elements(rows as u64));
    group.bench_function("decode and group", |bencher| {
        bencher.iter_with_large_drop(|| day.state(&segments));
    });
    let (one, other) = segments.split_at(segments.len() / 2);
    let halves = || (day.state(one), day.state(other));
    group.bench_function("merge", |bencher| {
        let merge = |(one, other): (Partial, Partial)| one.merge(other);
        bencher.iter_batched(halves, merge, BatchSize::LargeInput);
    });
    group.finish();
}

fn rows(criterion: &mut Criterion, day: &Day) {
    let meta = &day.plan.units[0].meta;
    let finished = || finish(day.whole(), meta, &day.tenant).0;
    let batch = finished();
    let mut group = criterion.benchmark_group("rows");
    group.sample_size(20).throughput(Throughput::Elements(batch.rows.len() as u64));
    group.bench_function("finish", |bencher| {
        let finish = |state| finish(state, meta, &day.tenant);
        bencher.iter_batched(|| day.whole(), finish, BatchSize::LargeInput);
    });
    let texts = DayTexts::new(meta);
    group.bench_function("COPY encode", |bencher| {
        let mut out = BytesMut::new();
        bencher.iter(|| {
            out.clear();
            copy(&batch, &texts, &mut out);
            out.len()
        });
    });
    group.finish();
}

/// The fields of all rows in the binary form of COPY.
fn copy(batch: &RowBatch, texts: &DayTexts, out: &mut BytesMut) {
    for row in &batch.rows {
        for column in COLUMNS.iter().filter(|column| !column.staging_only) {
            match column.value(batch, texts, row) {
                Value::Null => encode::null(out),
                Value::Integer(value) => encode::int4::encode(out, value),
                Value::Date(value) => encode::date::encode(out, value),
                Value::Uuid(value) => encode::uuid::encode(out, value),
                Value::Text(value) => encode::text::encode(out, value, None).expect("a text"),
                Value::Numeric(value) => encode::numeric::encode(out, value).expect("a number"),
                Value::Json(value) => encode::jsonb::encode(out, value).expect("an object"),
            }
        }
    }
}

criterion_group!(benches, parts);
criterion_main!(benches);
