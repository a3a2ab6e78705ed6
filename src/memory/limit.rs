//! The memory limit: as given, else the cgroup's, else the host's memory.

use std::fmt;
use std::path::{Path, PathBuf};

/// A limit, and who set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// In bytes.
    pub bytes: u64,
    pub source: LimitSource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitSource {
    Setting,
    CgroupV2,
    CgroupV1,
    Host,
}

impl fmt::Display for LimitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LimitSource::Setting => "the given limit",
            LimitSource::CgroupV2 => "cgroup v2 limit",
            LimitSource::CgroupV1 => "cgroup v1 limit",
            LimitSource::Host => "host memory",
        })
    }
}

/// The memory cgroup of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    /// The folder with the controller's files.
    pub folder: PathBuf,
    pub version: CgroupVersion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupVersion {
    V1,
    V2,
}

/// Reads a file, or says that there is none.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> Option<String>;

impl Cgroup {
    /// Finds the cgroup that limits memory, below `root` (`/sys/fs/cgroup`), from the text of
    /// `/proc/self/cgroup`.
    pub fn find(proc_cgroup: &str, root: &Path, read: ReadFile<'_>) -> Option<Self> {
        let path_of = |matches: &dyn Fn(&str, &str) -> bool| {
            proc_cgroup.lines().find_map(|line| {
                let mut fields = line.splitn(3, ':');
                let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
                matches(id, controllers).then(|| path.trim_start_matches('/').to_owned())
            })
        };
        let v1 = path_of(&|_, controllers| controllers.split(',').any(|c| c == "memory"));
        if let Some(path) = v1 {
            let version = CgroupVersion::V1;
            return Self::nearest(&root.join("memory"), &path, version, read);
        }
        let v2 = path_of(&|id, controllers| id == "0" && controllers.is_empty())?;
        Self::nearest(root, &v2, CgroupVersion::V2, read)
    }

    /// In a container the path may name folders that only the host sees: then the root of the
    /// mount is the container's own cgroup.
    fn nearest(
        root: &Path,
        path: &str,
        version: CgroupVersion,
        read: ReadFile<'_>,
    ) -> Option<Self> {
        let has_files = |folder: &Path| read(&folder.join(version.limit_file())).is_some();
        let folder = [root.join(path), root.to_owned()].into_iter().find(|f| has_files(f))?;
        Some(Cgroup { folder, version })
    }

    /// The least limit of this cgroup and its ancestors; `None` if none sets any.
    pub fn limit(&self, read: ReadFile<'_>) -> Option<u64> {
        self.folder
            .ancestors()
            .map_while(|folder| read(&folder.join(self.version.limit_file())))
            // `max` is no number and means no limit.
            .filter_map(|text| text.trim().parse().ok())
            .min()
    }
}

impl CgroupVersion {
    fn limit_file(self) -> &'static str {
        match self {
            CgroupVersion::V1 => "memory.limit_in_bytes",
            CgroupVersion::V2 => "memory.max",
        }
    }
}

/// Settles the limit. `host` is the host's memory in bytes.
pub fn resolve(
    setting: Option<u64>,
    cgroup: Option<&Cgroup>,
    host: u64,
    read: ReadFile<'_>,
) -> Limit {
    if let Some(bytes) = setting {
        return Limit { bytes, source: LimitSource::Setting };
    }
    // Version 1 says "no limit" by a number beyond any host's memory.
    let of_cgroup = cgroup
        .and_then(|cgroup| Some((cgroup.limit(read)?, cgroup.version)))
        .filter(|&(bytes, _)| bytes < host);
    match of_cgroup {
        Some((bytes, CgroupVersion::V2)) => Limit { bytes, source: LimitSource::CgroupV2 },
        Some((bytes, CgroupVersion::V1)) => Limit { bytes, source: LimitSource::CgroupV1 },
        None => Limit { bytes: host, source: LimitSource::Host },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const HOST: u64 = 1 << 34;

    fn settle(proc_cgroup: &str, files: &[(&str, &str)]) -> Limit {
        let files: BTreeMap<PathBuf, String> = files
            .iter()
            .map(|(path, text)| (Path::new("/cg").join(path), (*text).into()))
            .collect();
        let read = |path: &Path| files.get(path).cloned();
        let cgroup = Cgroup::find(proc_cgroup, Path::new("/cg"), &read);
        resolve(None, cgroup.as_ref(), HOST, &read)
    }

    #[test]
    fn the_smallest_ancestor_of_version_2_counts() {
        let limit = settle(
            "0::/pod/app\n",
            &[
                ("pod/app/memory.max", "max\n"),
                ("pod/memory.max", "536870912\n"),
                ("memory.max", "max"),
            ],
        );
        assert_eq!(limit, Limit { bytes: 536_870_912, source: LimitSource::CgroupV2 });
    }

    #[test]
    fn version_1_beside_an_empty_version_2() {
        let limit = settle(
            "9:cpu:/x\n4:memory:/a/b\n0::/\n",
            &[
                ("memory/a/b/memory.limit_in_bytes", "134217728"),
                ("memory/a/memory.limit_in_bytes", "9223372036854771712"),
                ("memory/memory.limit_in_bytes", "9223372036854771712"),
            ],
        );
        assert_eq!(limit, Limit { bytes: 134_217_728, source: LimitSource::CgroupV1 });
    }

    #[test]
    fn a_container_sees_its_own_cgroup_as_the_root() {
        let limit = settle("0::/kubepods/pod1/c1\n", &[("memory.max", "1000000")]);
        assert_eq!(limit.bytes, 1_000_000);
        let limit = settle("4:memory:/docker/1\n", &[("memory/memory.limit_in_bytes", "2000000")]);
        assert_eq!(limit.bytes, 2_000_000);
    }

    #[test]
    fn without_any_limit_it_is_the_host() {
        let host = Limit { bytes: HOST, source: LimitSource::Host };
        assert_eq!(settle("", &[]), host);
        assert_eq!(settle("0::/x\n", &[("x/memory.max", "max")]), host);
        let beyond = [("memory/memory.limit_in_bytes", "9223372036854771712")];
        assert_eq!(settle("4:memory:/\n", &beyond), host);
    }

    #[test]
    fn a_setting_beats_all() {
        let read = |_: &Path| Some("1".to_owned());
        let cgroup = Cgroup { folder: "/cg".into(), version: CgroupVersion::V2 };
        let limit = resolve(Some(7), Some(&cgroup), HOST, &read);
        assert_eq!(limit, Limit { bytes: 7, source: LimitSource::Setting });
    }
}
