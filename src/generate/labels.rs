//! Label objects as JSON text, spaced as Python's `json.dumps` does: `{"app": "x", "team": "y"}`.
//!
//! Keys are Prometheus' (no dots or slashes), in their order. Keys and values need no escapes.

use std::fmt::{Display, Write};

use super::calendar::Day;
use super::cluster::{Cluster, Namespace, Node, Role};
use super::names::{made, push_hex, push_suffix, push_uuid};
use super::pods::Pod;
use super::random::{Stream, derive};
use super::workloads::{Claim, Kind, Workload};

/// The label keys a tenant has enabled.
pub const ENABLED: &[&str] = &["app", "environment", "team", "version", "tier", "region"];
/// The enabled key that is unique in every row when unique groups are asked for.
pub const UNIQUE_KEY: &str = "checkpoint";

struct Object<'a> {
    out: &'a mut String,
    empty: bool,
}

impl<'a> Object<'a> {
    fn new(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, empty: true }
    }

    fn put(&mut self, key: &str, value: impl Display) -> &mut Self {
        let comma = if self.empty { "" } else { ", " };
        self.empty = false;
        // Writing to a string cannot fail.
        let _ = write!(self.out, "{comma}\"{key}\": \"{value}\"");
        self
    }

    fn put_some(&mut self, key: &str, value: Option<impl Display>) -> &mut Self {
        match value {
            Some(value) => self.put(key, value),
            None => self,
        }
    }

    fn end(&mut self) {
        self.out.push('}');
    }
}

/// Appends the pod's name.
pub fn pod_name(out: &mut String, workload: &Workload, pod: &Pod) {
    // Writing to a string cannot fail.
    let _ = match workload.kind {
        Kind::StatefulSet => write!(out, "{}-{}", workload.name, pod.slot),
        Kind::VirtualMachine => write!(out, "virt-launcher-{}-", workload.name),
        Kind::DaemonSet => write!(out, "{}-", workload.name),
        Kind::CronJob { .. } => write!(out, "{}-{}-", workload.name, pod.scheduled),
        Kind::Deployment => {
            let _ = write!(out, "{}-", workload.name);
            push_suffix(out, pod.revision, 10);
            write!(out, "-")
        }
    };
    if workload.kind != Kind::StatefulSet {
        push_suffix(out, pod.id, 5);
    }
}

/// Appends the pod's label object.
pub fn pod_labels(out: &mut String, cluster: &Cluster, workload: &Workload, pod: &Pod) {
    let labels = &workload.labels;
    if labels.none {
        return out.push_str("{}");
    }
    let namespace = &cluster.namespaces[workload.namespace as usize];
    let name = &workload.name;
    let job = made(|text| {
        let _ = write!(text, "{name}-{}", pod.scheduled);
    });
    let uid = made(|text| push_uuid(text, derive(pod.id, &[4])));
    let is_job = matches!(workload.kind, Kind::CronJob { .. });
    let revision = made(|text| push_suffix(text, pod.revision, 10));

    let mut object = Object::new(out);
    object.put("app", name);
    if labels.helm {
        object
            .put("app_kubernetes_io_component", labels.component)
            .put("app_kubernetes_io_instance", format_args!("{name}-release"))
            .put("app_kubernetes_io_managed_by", "Helm");
    }
    object.put("app_kubernetes_io_name", labels.component);
    if namespace.project.is_none() {
        object.put("app_kubernetes_io_part_of", &namespace.name);
    }
    match workload.kind {
        Kind::StatefulSet => {
            object
                .put("apps_kubernetes_io_pod_index", pod.slot)
                .put("controller_revision_hash", format_args!("{name}-{revision}"));
        }
        Kind::DaemonSet => {
            object.put("controller_revision_hash", &revision);
        }
        Kind::CronJob { .. } => {
            object
                .put("batch_kubernetes_io_controller_uid", &uid)
                .put("batch_kubernetes_io_job_name", &job)
                .put("controller_uid", &uid);
        }
        Kind::Deployment | Kind::VirtualMachine => {}
    }
    object.put_some("environment", labels.environment);
    if labels.instance && !is_job {
        object.put("instance_id", &uid);
    }
    match workload.kind {
        Kind::CronJob { .. } => {
            object.put("job_name", &job);
        }
        Kind::VirtualMachine => {
            object.put("kubevirt_io", "virt-launcher").put("kubevirt_io_created_by", &uid);
        }
        Kind::DaemonSet => {
            object.put("pod_template_generation", pod.release + 1);
        }
        Kind::Deployment => {
            object.put("pod_template_hash", &revision);
        }
        Kind::StatefulSet => {
            object.put("statefulset_kubernetes_io_pod_name", format_args!("{name}-{}", pod.slot));
        }
    }
    object.put_some("team", labels.team);
    if labels.tier {
        object.put("tier", "gold");
    }
    if labels.version {
        let major = workload.id % 4 + 1;
        let patch = pod.revision % 10;
        object.put("version", format_args!("{major}.{}.{patch}", pod.release));
    }
    if workload.kind == Kind::VirtualMachine {
        object.put("vm_kubevirt_io_name", name);
    }
    object.end();
}

/// Appends `labels`, a label object, with the unique key set to `seed`.
pub fn with_unique(out: &mut String, labels: &str, seed: u64) {
    // Writing to a string cannot fail.
    let _ = match labels.strip_prefix('{') {
        Some(rest) if rest != "}" => {
            write!(out, "{{\"{UNIQUE_KEY}\": \"{seed:016x}\", {rest}")
        }
        _ => write!(out, "{{\"{UNIQUE_KEY}\": \"{seed:016x}\"}}"),
    };
}

/// Whether something that is so for a few of `count` things a day, for some hours, is so now.
fn spell(seed: u64, kind: u64, index: usize, count: usize, day: &Day, hour: u32) -> bool {
    let parts = [kind, index as u64, u64::from(day.number().cast_unsigned())];
    let mut random = Stream::of(seed, &parts);
    // Three a day in a large cluster, one in a few days in a small one.
    if !random.chance((3.0 / count as f64).min(0.03)) {
        return false;
    }
    let start = 1 + random.below(22) as u32;
    (start..start + 1 + random.below(6) as u32).contains(&hour)
}

/// Appends the labels of a node in an hour. The enabled key `tier` changes during maintenance.
pub fn node_labels(out: &mut String, cluster: &Cluster, index: usize, day: &Day, hour: u32) {
    let node: &Node = &cluster.nodes[index];
    let count = cluster.nodes.len();
    let maintained = spell(cluster.seed, 20, index, count, day, hour);
    let updating = maintained || spell(cluster.seed, 21, index, count, day, hour);
    let role = match node.role {
        Role::Master => "node_role_kubernetes_io_control_plane",
        Role::Infra => "node_role_kubernetes_io_infra",
        Role::Worker => "node_role_kubernetes_io_worker",
    };
    Object::new(out)
        .put("beta_kubernetes_io_arch", "amd64")
        .put("kubernetes_io_hostname", &node.name)
        .put("machineconfiguration_state", if updating { "Working" } else { "Done" })
        .put("node_kubernetes_io_instance_type", format_args!("m6i.{}xlarge", node.cores / 4.0))
        .put(role, "")
        .put("region", "eu-central-1")
        .put("tier", if maintained { "maintenance" } else { "standard" })
        .put("topology_kubernetes_io_zone", format_args!("eu-central-1{}", node.zone))
        .end();
}

/// Appends the labels of a namespace in an hour. The enabled key `environment` changes during a
/// freeze.
pub fn namespace_labels(out: &mut String, cluster: &Cluster, index: usize, day: &Day, hour: u32) {
    let namespace: &Namespace = &cluster.namespaces[index];
    let mut object = Object::new(out);
    match namespace.project {
        Some(project) => {
            let count = cluster.namespaces.len();
            let frozen = spell(cluster.seed, 22, index, count, day, hour);
            object
                .put("environment", if frozen { "frozen" } else { project.environment })
                .put("kubernetes_io_metadata_name", &namespace.name)
                .put("team", project.team);
        }
        None => {
            object
                .put("kubernetes_io_metadata_name", &namespace.name)
                .put("openshift_io_cluster_monitoring", "true");
        }
    }
    object.end();
}

/// Appends the labels of a volume in a zone.
pub fn volume_labels(out: &mut String, volume: u64, zone: char) {
    let gold = volume.is_multiple_of(5);
    Object::new(out)
        .put_some("tier", gold.then_some("gold"))
        .put("topology_kubernetes_io_region", "eu-central-1")
        .put("topology_kubernetes_io_zone", format_args!("eu-central-1{zone}"))
        .end();
}

/// Appends the labels of a workload's claim.
pub fn claim_labels(out: &mut String, workload: &Workload, claim: &Claim) {
    Object::new(out)
        .put("app", &workload.name)
        .put_some("backup", (!claim.shared).then_some("daily"))
        .put_some("team", workload.labels.team)
        .end();
}

/// Appends 17 hexadecimal digits after `vol-` or `fs-`.
pub fn volume_handle(out: &mut String, volume: u64, shared: bool) {
    out.push_str(if shared { "fs-" } else { "vol-" });
    push_hex(out, volume, 17);
}
