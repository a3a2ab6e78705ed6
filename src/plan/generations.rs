//! Which of several uploads of a day counts. Pure.
//!
//! An upload (a manifest) may hold the first hours of a day and a later one those and more. Their
//! files lie side by side; counting both would double the hours that both hold.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;
use uuid::Uuid;

use crate::decode::schema::Part;

const HOURS: &str = "reportnumhours";
const DAY: &str = "reportdatestart";
const MANIFEST: &str = "manifestid";

/// Metadata of an upload that cannot be understood: whether another upload holds the same hours is
/// unknown, and its object counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddMark {
    pub name: &'static str,
    /// What it says; empty where it is missing.
    pub text: Arc<str>,
}

impl fmt::Display for OddMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.text {
            "" => write!(f, "`{}` is missing", self.name),
            text => write!(f, "`{}` is `{text}`", self.name),
        }
    }
}

/// What an object's metadata says of the upload that it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub manifest: Arc<str>,
    /// The day, as the metadata writes it, without a time.
    pub day: Arc<str>,
    /// How many hours of the day it holds; never 0.
    pub hours: u32,
}

impl Upload {
    /// From user metadata with names in lower case. `None` where the object is additive: without
    /// hours, or with 0.
    ///
    /// # Errors
    /// What says neither.
    pub fn read(metadata: &BTreeMap<String, String>) -> Result<Option<Self>, OddMark> {
        // Python's None is as good as nothing.
        let text = |name: &str| {
            let text = metadata.get(name).map_or("", |text| text.trim());
            Some(text).filter(|text| !text.is_empty() && *text != "None")
        };
        let Some(said) = text(HOURS) else { return Ok(None) };
        let odd = |name| OddMark { name, text: text(name).unwrap_or_default().into() };
        let hours = said.parse().ok().filter(|hours: &f64| (0.0..1e6).contains(hours));
        let hours = match hours {
            Some(0.0) => return Ok(None),
            Some(hours) if hours >= 1.0 => hours as u32,
            _ => return Err(odd(HOURS)),
        };
        let day = text(DAY).ok_or_else(|| odd(DAY))?;
        // A day may be written with a time: `2025-10-01 00:00:00`, `2025-10-01T00:00:00+00:00`.
        let end = day.find(['T', ' ']).unwrap_or(day.len());
        let day: NaiveDate = day[..end].parse().map_err(|_| odd(DAY))?;
        let manifest = text(MANIFEST).ok_or_else(|| odd(MANIFEST))?.into();
        Ok(Some(Upload { manifest, day: day.to_string().into(), hours }))
    }
}

/// A file of a plan, as far as uploads go.
#[derive(Debug, Clone)]
pub struct UploadedFile {
    pub path: Arc<str>,
    pub source: Uuid,
    pub part: Part,
    /// `None` is additive: always kept.
    pub upload: Option<Upload>,
}

/// A file that is left out, because another upload of its day holds more hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superseded {
    pub path: Arc<str>,
    pub source: Uuid,
    pub part: Part,
    pub upload: Upload,
    /// The upload that counts.
    pub by: Upload,
}

/// For each file the upload that supersedes its own, or `None` if it is kept.
///
/// Of each source, report type (hourly and daily files apart) and day only the upload with the
/// most hours is kept. Of several with equally many the one with the greatest manifest id is, since
/// ids are given in order of arrival: numbers by number, before other texts by text.
pub fn superseded(files: &[UploadedFile]) -> Vec<Option<Superseded>> {
    type Day<'a> = (Uuid, Part, &'a str);
    fn day<'a>(file: &UploadedFile, upload: &'a Upload) -> Day<'a> {
        (file.source, file.part, &upload.day)
    }
    // The files of one upload may differ in their hours: it holds as many as the fullest.
    let mut hours: HashMap<(Day<'_>, &str), &Upload> = HashMap::new();
    for file in files {
        if let Some(upload) = &file.upload {
            let most = hours.entry((day(file, upload), &upload.manifest)).or_insert(upload);
            if upload.hours > most.hours {
                *most = upload;
            }
        }
    }
    let mut best: HashMap<Day<'_>, &Upload> = HashMap::new();
    for (&(day, _), &upload) in &hours {
        let best = best.entry(day).or_insert(upload);
        if precedence(upload, best) == Ordering::Greater {
            *best = upload;
        }
    }
    files
        .iter()
        .map(|file| {
            let upload = file.upload.as_ref()?;
            let by = *best.get(&day(file, upload))?;
            (by.manifest != upload.manifest).then(|| Superseded {
                path: file.path.clone(),
                source: file.source,
                part: file.part,
                upload: upload.clone(),
                by: by.clone(),
            })
        })
        .collect()
}

fn precedence(a: &Upload, b: &Upload) -> Ordering {
    fn rank(upload: &Upload) -> (u32, bool, u128, &str) {
        let number = upload.manifest.parse::<u128>();
        (upload.hours, number.is_err(), number.unwrap_or(0), &upload.manifest)
    }
    rank(a).cmp(&rank(b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(path: &str, part: Part, upload: Option<(&str, &str, u32)>) -> UploadedFile {
        UploadedFile {
            path: path.into(),
            source: Uuid::nil(),
            part,
            upload: upload.map(|(manifest, day, hours)| Upload {
                manifest: manifest.into(),
                day: day.into(),
                hours,
            }),
        }
    }

    fn kept(files: &[UploadedFile]) -> Vec<&str> {
        let left_out = superseded(files);
        let kept = files.iter().zip(left_out).filter(|(_, left_out)| left_out.is_none());
        let mut kept: Vec<&str> = kept.map(|(file, _)| &*file.path).collect();
        kept.sort_unstable();
        kept
    }

    #[test]
    fn the_upload_with_the_most_hours_counts() {
        let files = [
            file("early", Part::Pods, Some(("7", "2025-10-01", 17))),
            file("late 1", Part::Pods, Some(("8", "2025-10-01", 18))),
            file("late 2", Part::Pods, Some(("8", "2025-10-01", 18))),
        ];
        assert_eq!(kept(&files), ["late 1", "late 2"]);
        let left_out = superseded(&files)[0].clone().unwrap();
        assert_eq!((left_out.upload.hours, &*left_out.by.manifest), (17, "8"));
    }

    #[test]
    fn more_hours_beat_a_later_manifest() {
        let files = [
            file("full", Part::Pods, Some(("7", "2025-10-01", 24))),
            file("again", Part::Pods, Some(("8", "2025-10-01", 3))),
        ];
        assert_eq!(kept(&files), ["full"]);
    }

    #[test]
    fn of_equally_many_hours_the_greatest_id_counts() {
        let hours = |a, b| {
            kept(&[
                file(a, Part::Pods, Some((a, "2025-10-01", 24))),
                file(b, Part::Pods, Some((b, "2025-10-01", 24))),
            ])
            .join(" ")
        };
        assert_eq!(hours("9", "10"), "10");
        assert_eq!(hours("10", "9"), "10");
        assert_eq!(hours("a9", "a10"), "a9");
        assert_eq!(hours("010", "10"), "10");
        assert_eq!(hours("20", "2025-10-02 a"), "2025-10-02 a");
    }

    #[test]
    fn days_types_trees_and_sources_are_apart() {
        let mut files = vec![
            file("pods", Part::Pods, Some(("1", "2025-10-01", 2))),
            file("other day", Part::Pods, Some(("2", "2025-10-02", 3))),
            file("other type", Part::Storage, Some(("3", "2025-10-01", 4))),
            file("other tree", Part::DailyPods, Some(("4", "2025-10-01", 5))),
            file("other source", Part::Pods, Some(("5", "2025-10-01", 6))),
        ];
        files[4].source = Uuid::max();
        assert_eq!(kept(&files).len(), files.len());
    }

    #[test]
    fn additive_files_are_always_kept() {
        let files = [
            file("additive", Part::Pods, None),
            file("early", Part::Pods, Some(("1", "2025-10-01", 2))),
            file("late", Part::Pods, Some(("2", "2025-10-01", 3))),
        ];
        assert_eq!(kept(&files), ["additive", "late"]);
    }

    #[test]
    fn an_upload_is_as_full_as_its_fullest_file() {
        let files = [
            file("a0", Part::Pods, Some(("1", "2025-10-01", 4))),
            file("a1", Part::Pods, Some(("1", "2025-10-01", 20))),
            file("b", Part::Pods, Some(("2", "2025-10-01", 18))),
        ];
        assert_eq!(kept(&files), ["a0", "a1"]);
    }

    #[test]
    fn metadata_as_it_comes() {
        let read = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            Upload::read(&pairs.collect())
        };
        let full = |hours, day| {
            read(&[("manifestid", "12"), ("reportdatestart", day), ("reportnumhours", hours)])
        };
        let upload = full("18", "2025-10-01").unwrap().unwrap();
        assert_eq!((&*upload.manifest, &*upload.day, upload.hours), ("12", "2025-10-01", 18));
        let days =
            ["2025-10-01 00:00:00", "2025-10-01T00:00:00+00:00", " 2025-10-01 ", "2025-10-1"];
        for day in days {
            assert_eq!(full("18", day), Ok(Some(upload.clone())), "{day}");
        }
        assert_eq!(full("18.0", "2025-10-01"), Ok(Some(upload)));
        for hours in ["0", "0.0", "", "None"] {
            assert_eq!(full(hours, "2025-10-01"), Ok(None), "{hours}");
        }
        assert_eq!(read(&[]), Ok(None));
        let odd = |name, text: &str| Err(OddMark { name, text: text.into() });
        for hours in ["-1", "nan", "0.5", "24h", "1e9"] {
            assert_eq!(full(hours, "2025-10-01"), odd(HOURS, hours));
        }
        for day in ["", "20251001", "yesterday"] {
            assert_eq!(full("18", day), odd(DAY, day));
        }
        assert_eq!(read(&[(DAY, "2025-10-01"), (HOURS, "18")]), odd(MANIFEST, ""));
    }

    proptest! {
        /// The order of the files never matters, and exactly one upload of a day is kept.
        #[test]
        fn order_is_irrelevant(
            uploads in prop::collection::vec((0u8..5, 0u8..3, 1u32..4), 1..20),
            rotation in 0usize..20,
        ) {
            let mut files: Vec<UploadedFile> = uploads
                .iter()
                .enumerate()
                .map(|(i, (manifest, day, hours))| {
                    // Numbers of one and two digits, and texts that lie between those as texts.
                    let manifest = ["3", "10", "2 a", "7 b", "007"][usize::from(*manifest)];
                    let day = format!("2025-10-0{day}");
                    file(&format!("{i:02}"), Part::Pods, Some((manifest, &day, *hours)))
                })
                .collect();
            let before: Vec<String> = kept(&files).iter().map(ToString::to_string).collect();
            files.rotate_left(rotation % uploads.len());
            files.reverse();
            prop_assert_eq!(kept(&files), before);
            let mut winners: HashMap<Arc<str>, Arc<str>> = HashMap::new();
            for (file, left_out) in files.iter().zip(superseded(&files)) {
                let upload = file.upload.as_ref().unwrap();
                if left_out.is_none() {
                    let known = winners.entry(upload.day.clone());
                    prop_assert_eq!(&*known.or_insert(upload.manifest.clone()), &upload.manifest);
                }
            }
            let days: std::collections::HashSet<_> = uploads.iter().map(|u| u.1).collect();
            prop_assert_eq!(winners.len(), days.len());
        }
    }
}
