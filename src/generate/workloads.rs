//! Workloads: what makes pods, and how many there are of each kind.

use super::calendar::{DAY, HOUR};
use super::cluster::{Namespace, Size};
use super::names;
use super::random::{Stream, derive};

const MIB: f64 = (1u64 << 20) as f64;
const GIB: f64 = (1u64 << 30) as f64;

/// Share of the live pods that are stateful, and of the rows that are jobs'.
const STATEFUL_SHARE: f64 = 0.08;
const JOB_SHARE: f64 = 0.017;
const DAEMON_SHARE: f64 = 0.18;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Deployment,
    /// One pod a node.
    DaemonSet,
    StatefulSet,
    /// A stateful set of one whose pod is a virtual machine.
    VirtualMachine,
    /// Seconds between runs (a divisor of a day), offset of the first, longest run.
    CronJob {
        every: i32,
        offset: i32,
        longest: i32,
    },
}

/// The nodes a workload's pods are put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Workers,
    Control,
    EveryNode,
}

/// A volume claim of every pod, or one that all pods of the workload share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Claim {
    pub shared: bool,
    pub bytes: f64,
}

/// Requests and limits (0: none) of a pod, and what it uses on average: cores and bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizing {
    pub cpu_request: f64,
    pub cpu_limit: f64,
    pub cpu_usage: f64,
    pub memory_request: f64,
    pub memory_limit: f64,
    pub memory_usage: f64,
}

/// Which labels the pods bear besides those of their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labels {
    /// No label at all.
    pub none: bool,
    pub component: &'static str,
    pub team: Option<&'static str>,
    pub environment: Option<&'static str>,
    pub version: bool,
    /// A value of its own for every pod.
    pub instance: bool,
    pub tier: bool,
    pub helm: bool,
}

#[derive(Debug, Clone)]
pub struct Workload {
    /// Seed of all that concerns this workload.
    pub id: u64,
    pub kind: Kind,
    pub name: String,
    /// Index of the namespace.
    pub namespace: u32,
    /// Pods at any time; the node count for daemon sets.
    pub replicas: u32,
    /// Pods added during office hours.
    pub extra: u32,
    pub place: Place,
    /// Chances a day of a new revision, and of one pod being replaced.
    pub rollout: f64,
    pub restart: f64,
    pub sizing: Sizing,
    /// Hours by which the daily curve is shifted; `None`: the load is flat.
    pub phase: Option<u32>,
    pub labels: Labels,
    pub claim: Option<Claim>,
}

/// The workloads of a cluster, such that about `size.pods` pods live in an average hour.
pub fn plan(seed: u64, size: Size, namespaces: &[Namespace]) -> Vec<Workload> {
    let mut maker = Maker { seed, namespaces, made: Vec::new(), projects: 0 };
    let pods = size.pods as f64;

    let daemons = (DAEMON_SHARE * pods / size.nodes.max(1) as f64).round() as usize;
    for _ in 0..daemons {
        maker.daemon_set(size.nodes as u32);
    }
    let mut rest = pods - (daemons * size.nodes) as f64;

    let mut stateful = (STATEFUL_SHARE * pods).round() as u32;
    rest -= f64::from(stateful);
    while stateful > 0 {
        stateful -= maker.stateful_set(stateful);
    }

    let mut jobs = JOB_SHARE * pods;
    rest -= jobs;
    while jobs > 0.5 {
        jobs -= maker.cron_job();
    }

    while rest >= 0.5 {
        rest -= maker.deployment(rest.round() as u32);
    }
    maker.made
}

struct Maker<'a> {
    seed: u64,
    namespaces: &'a [Namespace],
    made: Vec<Workload>,
    /// Workloads put into projects so far.
    projects: usize,
}

impl Maker<'_> {
    fn random(&self) -> (u64, Stream) {
        let id = derive(self.seed, &[3, self.made.len() as u64]);
        (id, Stream::of(id, &[0]))
    }

    fn system_namespace(&self, random: &mut Stream) -> u32 {
        let count = self.namespaces.iter().take_while(|n| n.project.is_none()).count();
        // The first ones are the busiest.
        let skewed = random.unit() * random.unit();
        (skewed * count as f64) as u32
    }

    fn project_namespace(&mut self, random: &mut Stream) -> u32 {
        let system = self.namespaces.iter().take_while(|n| n.project.is_none()).count();
        let projects = self.namespaces.len() - system;
        if projects == 0 {
            return self.system_namespace(random);
        }
        self.projects += 1;
        let pick = if self.projects <= projects {
            self.projects - 1 // every project has something in it
        } else {
            (random.unit() * random.unit() * projects as f64) as usize
        };
        (system + pick) as u32
    }

    fn labels(&self, namespace: u32, random: &mut Stream, component: &'static str) -> Labels {
        let project = self.namespaces[namespace as usize].project;
        Labels {
            none: random.chance(0.01),
            component,
            // Without them the namespace's own count.
            team: project.filter(|_| random.chance(0.6)).map(|p| p.team),
            environment: project.filter(|_| random.chance(0.6)).map(|p| p.environment),
            version: random.chance(0.7),
            instance: random.chance(0.5),
            tier: random.chance(0.15),
            helm: random.chance(0.5),
        }
    }

    fn daemon_set(&mut self, nodes: u32) {
        let (id, mut random) = self.random();
        let number = self.made.len();
        let agent = names::AGENTS[number % names::AGENTS.len()];
        let namespace = self.system_namespace(&mut random);
        let name = match number / names::AGENTS.len() {
            0 => agent.to_owned(),
            round => format!("{agent}-{round}"),
        };
        self.made.push(Workload {
            id,
            kind: Kind::DaemonSet,
            name,
            namespace,
            replicas: nodes,
            extra: 0,
            place: Place::EveryNode,
            rollout: 0.01,
            restart: 0.01,
            sizing: sizing(&mut random, &[0.01, 0.02, 0.05, 0.1], &[64.0, 128.0, 256.0]),
            phase: None,
            labels: Labels {
                none: false,
                instance: false,
                ..self.labels(namespace, &mut random, "agent")
            },
            claim: None,
        });
    }

    /// Returns how many of the `most` pods asked for it has.
    fn stateful_set(&mut self, most: u32) -> u32 {
        let (id, mut random) = self.random();
        let namespace = self.project_namespace(&mut random);
        let machine = random.chance(0.06);
        let replicas = if machine { 1 } else { random.pick(&[1, 1, 2, 3, 3, 5]) }.min(most);
        let store = random.pick(names::STORES);
        let number = self.made.len();
        let bytes = random.pick(&[1.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0]) * GIB;
        self.made.push(Workload {
            id,
            kind: if machine { Kind::VirtualMachine } else { Kind::StatefulSet },
            name: if machine { format!("vm-{number}") } else { format!("{store}-{number}") },
            namespace,
            replicas,
            extra: 0,
            place: Place::Workers,
            rollout: 0.02,
            restart: 0.03,
            sizing: sizing(&mut random, &[0.1, 0.25, 0.5, 1.0], &[512.0, 1024.0, 2048.0, 8192.0]),
            phase: Some(random.below(4) as u32),
            labels: self.labels(namespace, &mut random, "database"),
            claim: random.chance(0.85).then_some(Claim { shared: false, bytes }),
        });
        replicas
    }

    /// Returns the rows an hour it makes on average.
    fn cron_job(&mut self) -> f64 {
        let (id, mut random) = self.random();
        let namespace = self.project_namespace(&mut random);
        let every = random.pick(&[HOUR / 4, HOUR, HOUR, HOUR, HOUR, HOUR, 2 * HOUR, 6 * HOUR, DAY]);
        let longest = random.pick(&[120, 300, 600, 1200, 2700]).min(every - 60);
        let job = random.pick(names::JOBS);
        let number = self.made.len();
        self.made.push(Workload {
            id,
            kind: Kind::CronJob {
                every,
                offset: 60 * random.below(every as usize / 60) as i32,
                longest,
            },
            name: format!("{job}-{number}"),
            namespace,
            replicas: 1,
            extra: 0,
            place: Place::Workers,
            rollout: 0.0,
            restart: 0.0,
            sizing: sizing(&mut random, &[0.1, 0.25, 0.5, 1.0], &[128.0, 256.0, 512.0, 1024.0]),
            phase: None,
            labels: self.labels(namespace, &mut random, "job"),
            claim: None,
        });
        // A run touches one hour, and another one if it goes over the full hour.
        f64::from(HOUR) / f64::from(every) * (1.0 + 0.6 * f64::from(longest) / f64::from(HOUR))
    }

    /// Returns how many of the `most` pods asked for it has on average.
    fn deployment(&mut self, most: u32) -> f64 {
        let (id, mut random) = self.random();
        let system = random.chance(0.12);
        let namespace = if system {
            self.system_namespace(&mut random)
        } else {
            self.project_namespace(&mut random)
        };
        let replicas: u32 =
            random.pick(&[1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 5, 6, 8, 10, 12, 16]).min(most);
        let extra = if replicas > 2 && random.chance(0.15) { replicas / 3 } else { 0 };
        let part = random.pick(if system { names::SYSTEM_PARTS } else { names::PARTS });
        let owner = self.namespaces[namespace as usize].name.trim_start_matches("openshift-");
        let product = if system { owner } else { random.pick(names::PRODUCTS) };
        let name = format!("{product}-{part}-{}", self.made.len());
        let shared = random.chance(0.01) && replicas > 1;
        self.made.push(Workload {
            id,
            kind: Kind::Deployment,
            name,
            namespace,
            replicas,
            extra,
            place: if system && random.chance(0.5) { Place::Control } else { Place::Workers },
            rollout: random.pick(&[0.03, 0.08, 0.15, 0.35]),
            restart: 0.02,
            sizing: sizing(
                &mut random,
                &[0.01, 0.02, 0.05, 0.1, 0.1, 0.1, 0.25, 0.5],
                &[64.0, 128.0, 256.0, 256.0, 512.0, 1024.0, 2048.0],
            ),
            phase: (!system).then(|| random.below(4) as u32),
            labels: self.labels(namespace, &mut random, part),
            claim: shared.then_some(Claim { shared: true, bytes: 100.0 * GIB }),
        });
        // The extra pods are there for about ten hours.
        f64::from(replicas) + f64::from(extra) * 10.0 / 24.0
    }
}

/// Requests out of cores and MiB; limits are twice that, or none.
fn sizing(random: &mut Stream, cores: &[f64], mebibytes: &[f64]) -> Sizing {
    let cpu_request = random.pick(cores);
    let memory_request = random.pick(mebibytes) * MIB;
    let limited = random.chance(0.75);
    Sizing {
        cpu_request,
        cpu_limit: if limited && random.chance(0.8) { 2.0 * cpu_request } else { 0.0 },
        cpu_usage: cpu_request * random.between(0.1, 1.2),
        memory_request,
        memory_limit: if limited { 2.0 * memory_request } else { 0.0 },
        memory_usage: memory_request * random.between(0.3, 1.3),
    }
}
