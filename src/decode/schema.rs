//! Which columns a report type needs, and where a file has them.

use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, TimeUnit as ParquetUnit, Type as Physical};
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::error::InputError;
use super::times::TimeUnit;
use crate::aggregate::rows::{POD_NUMBERS, STORAGE_NUMBERS};

/// What the rows of a file are used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    NodeLabels,
    NamespaceLabels,
    Storage,
    /// Hourly pod rows: measures and capacity.
    Pods,
    /// Hourly pod rows where the measures come from the daily ones: capacity only.
    Capacity,
    /// Daily pod rows: measures only.
    DailyPods,
}

impl Part {
    /// The report type, as the folder is called.
    pub fn report_type(self) -> &'static str {
        match self {
            Part::NodeLabels => "node_labels",
            Part::NamespaceLabels => "namespace_labels",
            Part::Storage => "storage_usage",
            Part::Pods | Part::Capacity | Part::DailyPods => "pod_usage",
        }
    }

    /// Whether pod rows of the summary come from it.
    pub fn has_pods(self) -> bool {
        matches!(self, Part::Pods | Part::DailyPods)
    }
}

/// How a column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Time,
    Text,
    Number,
}

impl Kind {
    /// For messages.
    fn name(self) -> &'static str {
        match self {
            Kind::Time => "a date and time",
            Kind::Text => "text",
            Kind::Number => "a number",
        }
    }
}

/// A column that a part uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub name: &'static str,
    pub kind: Kind,
    /// Whether a file without it is refused; else its rows are null.
    pub needed: bool,
}

const fn needed(name: &'static str, kind: Kind) -> Wanted {
    Wanted { name, kind, needed: true }
}

const fn optional(name: &'static str, kind: Kind) -> Wanted {
    Wanted { name, kind, needed: false }
}

const INTERVAL: Wanted = needed("interval_start", Kind::Time);

/// The columns of a part, the interval first, texts in the order of the row structs, then numbers.
/// `pod_names` says whether pods must be told apart, which only storage rows need.
pub fn wanted(part: Part, pod_names: bool) -> Vec<Wanted> {
    let mut columns = vec![INTERVAL];
    match part {
        Part::NodeLabels => {
            columns.push(needed("node", Kind::Text));
            columns.push(needed("node_labels", Kind::Text));
        }
        Part::NamespaceLabels => {
            columns.push(needed("namespace", Kind::Text));
            columns.push(needed("namespace_labels", Kind::Text));
        }
        Part::Storage => {
            columns.push(needed("namespace", Kind::Text));
            columns.push(needed("pod", Kind::Text));
            columns.push(needed("persistentvolumeclaim", Kind::Text));
            columns.push(needed("persistentvolume", Kind::Text));
            columns.push(optional("storageclass", Kind::Text));
            columns.push(optional("csi_volume_handle", Kind::Text));
            columns.push(optional("persistentvolume_labels", Kind::Text));
            columns.push(optional("persistentvolumeclaim_labels", Kind::Text));
            columns.extend(STORAGE_NUMBERS.map(|name| optional(name, Kind::Number)));
        }
        Part::Pods | Part::DailyPods => {
            columns.push(needed("namespace", Kind::Text));
            columns.push(needed("node", Kind::Text));
            columns.push(optional("resource_id", Kind::Text));
            if pod_names {
                columns.push(needed("pod", Kind::Text));
            }
            columns.push(optional("pod_labels", Kind::Text));
            let numbers = if part == Part::Pods { &POD_NUMBERS[..] } else { &POD_NUMBERS[..10] };
            columns.extend(numbers.iter().map(|name| optional(name, Kind::Number)));
        }
        Part::Capacity => {
            columns.push(needed("node", Kind::Text));
            columns.extend(POD_NUMBERS[10..].iter().map(|name| optional(name, Kind::Number)));
        }
    }
    columns
}

/// Where a file has a wanted column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub wanted: Wanted,
    /// The leaf's index; `None` where the file has no such column.
    pub leaf: Option<usize>,
    /// The unit of an integer time, where raw pages can be read as such.
    pub direct: Option<Direct>,
}

/// Physical types with a direct meaning, if the encodings allow reading the raw pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direct {
    Text,
    Double,
    Time(TimeUnit),
}

/// Finds the wanted columns of a part in a file: by name, else by name in another case.
pub fn find(
    object: &Arc<str>,
    metadata: &ParquetMetaData,
    wanted: &[Wanted],
) -> Result<Vec<Found>, InputError> {
    let schema = metadata.file_metadata().schema_descr();
    wanted
        .iter()
        .map(|&wanted| {
            let Some(leaf) = leaf(object, schema, wanted)? else {
                if wanted.needed {
                    return Err(InputError::MissingColumn {
                        object: object.clone(),
                        column: wanted.name,
                        present: column_names(schema),
                    });
                }
                return Ok(Found { wanted, leaf: None, direct: None });
            };
            let direct = meaning(object, &schema.column(leaf), wanted)?;
            Ok(Found { wanted, leaf: Some(leaf), direct })
        })
        .collect()
}

/// The index of the leaf that is the top-level column of that name.
fn leaf(
    object: &Arc<str>,
    schema: &SchemaDescriptor,
    wanted: Wanted,
) -> Result<Option<usize>, InputError> {
    let name = wanted.name;
    let top_level = schema.root_schema().get_fields();
    let named = |matches: &dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..top_level.len()).filter(|&field| matches(top_level[field].name())).collect()
    };
    let mut found = named(&|other| other == name);
    if found.is_empty() {
        found = named(&|other| other.eq_ignore_ascii_case(name));
    }
    let field = match found[..] {
        [] => return Ok(None),
        [field] => field,
        _ => {
            let names: Vec<&str> = found.iter().map(|&field| top_level[field].name()).collect();
            return Err(InputError::AmbiguousColumn {
                object: object.clone(),
                column: name,
                found: names.join(", "),
            });
        }
    };
    // A list of one flat element is one leaf too.
    if !top_level[field].is_primitive() {
        return Err(InputError::ColumnType {
            object: object.clone(),
            column: name,
            found: "nested".to_owned(),
            wanted: wanted.kind.name(),
        });
    }
    Ok((0..schema.num_columns()).find(|&leaf| schema.get_column_root_idx(leaf) == field))
}

fn column_names(schema: &SchemaDescriptor) -> String {
    let names: Vec<String> = schema.columns().iter().map(|c| c.path().string()).collect();
    names.join(", ")
}

/// Checks that a column's type can mean what is wanted, and whether directly.
fn meaning(
    object: &Arc<str>,
    column: &ColumnDescriptor,
    wanted: Wanted,
) -> Result<Option<Direct>, InputError> {
    let physical = column.physical_type();
    let logical = column.logical_type_ref();
    let converted = column.converted_type();
    let decimal =
        matches!(logical, Some(LogicalType::Decimal(_))) || converted == ConvertedType::DECIMAL;
    let text = physical == Physical::BYTE_ARRAY
        && !decimal
        && matches!(
            logical,
            None | Some(LogicalType::String | LogicalType::Json | LogicalType::Enum)
        );
    let empty = matches!(logical, Some(LogicalType::Unknown));
    let refuse = |wanted_as| {
        let logical = logical.map_or(String::new(), |l| format!(" {l:?}"));
        Err(InputError::ColumnType {
            object: object.clone(),
            column: wanted.name,
            found: format!("{physical}{logical}"),
            wanted: wanted_as,
        })
    };
    if column.max_rep_level() > 0 {
        return refuse("a flat column: it is repeated");
    }
    // A column of nulls only, as some writers type it.
    if empty {
        return Ok(None);
    }
    match wanted.kind {
        Kind::Text if text => Ok(Some(Direct::Text)),
        Kind::Text => refuse(wanted.kind.name()),
        Kind::Number => match physical {
            Physical::DOUBLE => Ok(Some(Direct::Double)),
            Physical::FLOAT | Physical::INT32 | Physical::INT64 if !is_time(column) => Ok(None),
            _ if decimal => Ok(None),
            _ => refuse(wanted.kind.name()),
        },
        Kind::Time => match (physical, logical, converted) {
            (Physical::INT64, Some(LogicalType::Timestamp(t)), _) => {
                Ok(Some(Direct::Time(match t.unit {
                    ParquetUnit::MILLIS => TimeUnit::Millis,
                    ParquetUnit::MICROS => TimeUnit::Micros,
                    ParquetUnit::NANOS => TimeUnit::Nanos,
                })))
            }
            (Physical::INT64, None, ConvertedType::TIMESTAMP_MILLIS) => {
                Ok(Some(Direct::Time(TimeUnit::Millis)))
            }
            (Physical::INT64, None, ConvertedType::TIMESTAMP_MICROS) => {
                Ok(Some(Direct::Time(TimeUnit::Micros)))
            }
            (Physical::INT96, ..) => Ok(None),
            (Physical::INT32, Some(LogicalType::Date), _)
            | (Physical::INT32, None, ConvertedType::DATE) => Ok(None),
            _ if text => Ok(None),
            _ => refuse(wanted.kind.name()),
        },
    }
}

fn is_time(column: &ColumnDescriptor) -> bool {
    matches!(
        column.logical_type_ref(),
        Some(LogicalType::Timestamp(_) | LogicalType::Date | LogicalType::Time(_))
    ) || matches!(
        column.converted_type(),
        ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS | ConvertedType::DATE
    )
}
