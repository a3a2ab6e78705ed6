//! What an operator uploads: an archive (first byte even) or a CSV file with the header of pods (odd).

use std::io::Write;
use std::sync::atomic::AtomicBool;

use flate2::Compression;
use flate2::write::GzEncoder;
use ocp_rollup::convert::{self, Plan};
use uuid::Uuid;

const POD_HEADER: &str = "report_period_start,report_period_end,pod,namespace,node,resource_id,interval_start,\
    interval_end,pod_usage_cpu_core_seconds,pod_request_cpu_core_seconds,pod_limit_cpu_core_seconds,\
    pod_usage_memory_byte_seconds,pod_request_memory_byte_seconds,pod_limit_memory_byte_seconds,\
    node_capacity_cpu_cores,node_capacity_cpu_core_seconds,node_capacity_memory_bytes,\
    node_capacity_memory_byte_seconds,pod_labels\n";

pub fn run(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let Ok(folder) = tempfile::tempdir() else { return };
    let (name, bytes) = match kind % 2 {
        0 => {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
            if gzip.write_all(rest).is_err() {
                return;
            }
            ("payload.tar.gz", gzip.finish().unwrap_or_default())
        }
        _ => ("pods.csv", [POD_HEADER.as_bytes(), rest].concat()),
    };
    let input = folder.path().join(name);
    if std::fs::write(&input, bytes).is_err() {
        return;
    }
    let outside = folder.path().join("outside");
    let plan = Plan {
        inputs: vec![input],
        out: folder.path().join("out"),
        org_id: "org1234567".to_owned(),
        provider_uuid: Uuid::from_u128(1),
        manifest_id: None,
        max_unpacked: 1 << 20,
    };
    if let Err(error) = convert::run(&plan, &AtomicBool::new(false)) {
        assert!(!error.to_string().is_empty());
        assert!(!plan.out.exists(), "a failed conversion leaves nothing: {error}");
    }
    assert!(!outside.exists(), "nothing is written beside the output");
    let entries = std::fs::read_dir(folder.path()).map_or(0, Iterator::count);
    assert!(entries <= 2, "nothing is written beside the output");
}
