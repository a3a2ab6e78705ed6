//! The lookups that go with a tree, as CSV files with the columns of the database's tables.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::GenerateError;
use super::cluster::Cluster;
use super::labels;

const NODE_COLUMNS: [&str; 6] =
    ["node", "resource_id", "node_capacity_cpu_cores", "cluster_id", "node_role", "architecture"];

/// Patterns of namespaces, whether the product ships them, and their category.
const CATEGORIES: &[(&str, bool, u8)] = &[
    ("openshift-%", true, 1),
    ("kube-%", true, 1),
    ("Platform unallocated", true, 1),
    ("openshift", true, 1),
    ("payments-%", false, 2),
    ("%-sandbox", false, 3),
    ("kub%", false, 4),
    ("Worker un%", false, 3),
];

/// Writes the lookups into `folder`. Nodes of other clusters that are listed there already stay.
///
/// # Errors
/// If a file cannot be read or written.
pub fn write(folder: &Path, cluster: &Cluster, cluster_id: &str) -> Result<(), GenerateError> {
    fs::create_dir_all(folder)
        .map_err(|source| GenerateError::CreateFolder { path: folder.to_owned(), source })?;

    let text = |bool: bool| if bool { "true" } else { "false" }.to_owned();
    let mut keys: Vec<[String; 3]> = labels::ENABLED
        .iter()
        .chain([&labels::UNIQUE_KEY, &"never-seen-key"])
        .map(|key| [(*key).to_owned(), text(true), "OCP".to_owned()])
        .collect();
    keys.push(["pod_template_hash".to_owned(), text(false), "OCP".to_owned()]);
    keys.push(["pod_template_hash".to_owned(), text(true), "AWS".to_owned()]);
    table(&folder.join("enabled_tag_keys.csv"), &["key", "enabled", "provider_type"], &keys)?;

    let categories: Vec<[String; 4]> = (1..)
        .zip(CATEGORIES)
        .map(|(id, (pattern, default, category)): (u32, _)| {
            [id.to_string(), (*pattern).to_owned(), text(*default), category.to_string()]
        })
        .collect();
    table(
        &folder.join("cost_category_namespace.csv"),
        &["id", "namespace", "system_default", "cost_category_id"],
        &categories,
    )?;

    let path = folder.join("nodes.csv");
    let mut nodes = nodes_of_others(&path, cluster_id)?;
    nodes.extend(cluster.nodes.iter().map(|node| {
        [
            node.name.clone(),
            node.resource_id.clone(),
            format!("{:.1}", node.cores),
            cluster_id.to_owned(),
            node.role.as_str().to_owned(),
            "amd64".to_owned(),
        ]
    }));
    table(&path, &NODE_COLUMNS, &nodes)
}

fn nodes_of_others(path: &Path, cluster_id: &str) -> Result<Vec<[String; 6]>, GenerateError> {
    let failed = |source| GenerateError::Lookup { path: path.to_owned(), source };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(GenerateError::Look { path: path.to_owned(), source }),
    };
    let mut kept = Vec::new();
    for row in csv::Reader::from_reader(file).deserialize::<[String; 6]>() {
        let row = row.map_err(failed)?;
        if row[3] != cluster_id {
            kept.push(row);
        }
    }
    Ok(kept)
}

fn table<const N: usize>(
    path: &Path,
    header: &[&str; N],
    rows: &[[String; N]],
) -> Result<(), GenerateError> {
    let failed = |source| GenerateError::Lookup { path: path.to_owned(), source };
    let mut partial = path.to_owned().into_os_string();
    partial.push(".partial");
    let mut writer = csv::Writer::from_path(&partial).map_err(failed)?;
    writer.write_record(header).map_err(failed)?;
    for row in rows {
        writer.write_record(row).map_err(failed)?;
    }
    writer
        .flush()
        .and_then(|()| fs::rename(&partial, path))
        .map_err(|source| GenerateError::Write { path: path.to_owned(), source })
}
