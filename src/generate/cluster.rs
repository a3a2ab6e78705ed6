//! The standing part of a synthetic cluster: nodes, namespaces and workloads.

use std::fmt::Write;

use super::names::{self, made};
use super::random::{Stream, derive};
use super::workloads::{self, Workload};

const GIB: f64 = (1u64 << 30) as f64;

/// How big a cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub nodes: usize,
    pub namespaces: usize,
    /// Live pods in an average hour.
    pub pods: usize,
}

/// What a node is for; the text is that of `reporting_ocp_nodes.node_role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Master,
    Infra,
    Worker,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Infra => "infra",
            Self::Worker => "worker",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Node {
    pub name: String,
    pub resource_id: String,
    pub role: Role,
    pub cores: f64,
    pub memory_bytes: f64,
    pub zone: char,
}

#[derive(Debug, Clone)]
pub struct Namespace {
    pub name: String,
    /// Who owns a project and what it is for; `None` for the platform's namespaces.
    pub project: Option<Project>,
}

#[derive(Debug, Clone, Copy)]
pub struct Project {
    pub team: &'static str,
    pub environment: &'static str,
}

/// Where pods may be put: node indices, a node as often as it is likely.
#[derive(Debug, Clone)]
pub struct Placement {
    pub workers: Vec<u32>,
    pub control: Vec<u32>,
}

/// Everything about a cluster that no day changes.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub seed: u64,
    pub nodes: Vec<Node>,
    pub namespaces: Vec<Namespace>,
    pub placement: Placement,
    pub workloads: Vec<Workload>,
}

impl Cluster {
    /// Builds the cluster of `seed`; needs a node and two namespaces at least.
    pub fn new(seed: u64, size: Size) -> Self {
        let nodes: Vec<Node> = (0..size.nodes).map(|index| node(seed, index, size.nodes)).collect();
        let namespaces = namespaces(seed, size.namespaces);
        let placement = placement(&nodes);
        let workloads = workloads::plan(seed, size, &namespaces);
        Self { seed, nodes, namespaces, placement, workloads }
    }
}

fn node(seed: u64, index: usize, count: usize) -> Node {
    let id = derive(seed, &[1, index as u64]);
    let mut random = Stream::new(id);
    let (masters, infra) = if count < 6 { (1, 0) } else { (3, (count / 50).max(1)) };
    let role = match index {
        i if i < masters => Role::Master,
        i if i < masters + infra => Role::Infra,
        _ => Role::Worker,
    };
    let cores = match role {
        Role::Master => 16.0,
        Role::Infra => 32.0,
        Role::Worker => {
            random.pick(&[4.0, 8.0, 8.0, 16.0, 16.0, 16.0, 32.0, 32.0, 48.0, 64.0, 96.0])
        }
    };
    // What the kernel keeps for itself makes real capacities odd numbers of pages.
    let per_core = random.pick(&[4.0, 4.0, 8.0]);
    let reserved = 4096.0 * (20_000 + random.below(30_000)) as f64;
    Node {
        // The index stands in three bytes of the address, so names differ up to 16 M nodes.
        name: format!(
            "ip-{}-{}-{}-{}.eu-central-1.compute.internal",
            10 + (index >> 22),
            (index >> 14) & 255,
            (index >> 6) & 255,
            (index & 63) * 4 + random.below(4)
        ),
        resource_id: made(|out| {
            out.push_str("i-0");
            names::push_hex(out, id, 16);
        }),
        role,
        cores,
        memory_bytes: cores * per_core * GIB - reserved,
        zone: random.pick(&['a', 'b', 'c']),
    }
}

fn namespaces(seed: u64, count: usize) -> Vec<Namespace> {
    let system = (count / 8).clamp(1, names::SYSTEM_NAMESPACES.len());
    let mut all: Vec<Namespace> = names::SYSTEM_NAMESPACES[..system]
        .iter()
        .map(|name| Namespace { name: (*name).to_owned(), project: None })
        .collect();
    let combinations = names::TEAMS.len() * names::PRODUCTS.len() * names::ENVIRONMENTS.len();
    let mut order: Vec<usize> = (0..combinations).collect();
    Stream::of(seed, &[2]).shuffle(&mut order);
    for n in 0..count.saturating_sub(system) {
        let pick = order[n % combinations];
        let team = names::TEAMS[pick % names::TEAMS.len()];
        let rest = pick / names::TEAMS.len();
        let product = names::PRODUCTS[rest % names::PRODUCTS.len()];
        let (short, environment) = names::ENVIRONMENTS[rest / names::PRODUCTS.len()];
        let mut name = format!("{team}-{product}-{short}");
        if n >= combinations {
            // Writing to a string cannot fail.
            let _ = write!(name, "-{}", n / combinations);
        }
        all.push(Namespace { name, project: Some(Project { team, environment }) });
    }
    all
}

fn placement(nodes: &[Node]) -> Placement {
    let mut placement = Placement { workers: Vec::new(), control: Vec::new() };
    for (index, node) in (0u32..).zip(nodes) {
        // Its cores to the power of 3/4: a node of 96 runs eleven times the pods of one of 4.
        let weight = (node.cores * node.cores.sqrt()).sqrt().round() as usize;
        let pool = match node.role {
            Role::Worker => &mut placement.workers,
            Role::Master | Role::Infra => &mut placement.control,
        };
        pool.extend(std::iter::repeat_n(index, weight));
    }
    // A single node is all there is for everything.
    if placement.workers.is_empty() {
        placement.workers.clone_from(&placement.control);
    }
    placement
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_roles_complete() {
        let cluster = Cluster::new(1, Size { nodes: 5000, namespaces: 6000, pods: 100 });
        let nodes: HashSet<_> = cluster.nodes.iter().map(|n| &n.name).collect();
        let resources: HashSet<_> = cluster.nodes.iter().map(|n| &n.resource_id).collect();
        let namespaces: HashSet<_> = cluster.namespaces.iter().map(|n| &n.name).collect();
        assert_eq!((nodes.len(), resources.len(), namespaces.len()), (5000, 5000, 6000));
        for role in [Role::Master, Role::Infra, Role::Worker] {
            assert!(cluster.nodes.iter().any(|n| n.role == role), "{role:?}");
        }
    }

    #[test]
    fn the_smallest_cluster_has_places_for_everything() {
        let cluster = Cluster::new(1, Size { nodes: 1, namespaces: 2, pods: 1 });
        assert!(!cluster.placement.workers.is_empty());
        assert!(!cluster.placement.control.is_empty());
        assert!(!cluster.workloads.is_empty());
    }
}
