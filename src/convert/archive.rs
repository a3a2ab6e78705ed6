//! Unpacking an archive into files of our own names, within limits.
//!
//! A member's name is only ever a key, never a path on disk, so nothing can be written elsewhere;
//! names that try are refused all the same, since such an archive is not what it seems.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::csv_file::Source;
use super::inputs::{LONGEST_MANIFEST, Opened, is_csv};
use super::manifest::{Manifest, base_name};
use super::summary::human;
use super::{ConvertError, go_on};

/// Members an archive may have; the operator makes some dozens at most.
const MOST_MEMBERS: usize = 10_000;
/// How many times its own size an archive may unpack to. Usage as CSV comes to some tens.
const MOST_RATIO: u64 = 500;
/// Bytes from which on that counts: very small archives shrink more.
const RATIO_FROM: u64 = 64 << 20;
/// Bytes that a member's long name and attributes may have.
const LONGEST_NAME: u64 = 64 << 10;

/// Unpacks the archives of a payload.
pub struct Unpacker<'a> {
    staging: &'a Path,
    max_unpacked: u64,
    /// Bytes that all archives unpacked to so far.
    unpacked: u64,
    files: usize,
    cancelled: &'a AtomicBool,
}

impl<'a> Unpacker<'a> {
    /// `max_unpacked`: bytes that all archives together may unpack to.
    pub fn new(staging: &'a Path, max_unpacked: u64, cancelled: &'a AtomicBool) -> Self {
        Self { staging, max_unpacked, unpacked: 0, files: 0, cancelled }
    }

    /// Unpacks the manifest and the CSV files of one archive.
    ///
    /// # Errors
    /// If it is damaged, beyond the limits, has members that no payload has, or no manifest.
    pub fn unpack(&mut self, path: &Path) -> Result<Opened, ConvertError> {
        let file = File::open(path)
            .map_err(|source| ConvertError::Open { path: path.to_owned(), source })?;
        let meter = Rc::new(Meter::default());
        let packed = Counted { inner: file, meter: meter.clone() };
        let unpacked = Limited {
            inner: MultiGzDecoder::new(BufReader::new(packed)),
            meter: meter.clone(),
            limit: self.max_unpacked.saturating_sub(self.unpacked),
        };
        let fault = Faults { path, meter: &meter, max_unpacked: self.max_unpacked };
        let mut archive = Archive::new(unpacked);
        let opened = self.members(&mut archive, &fault)?;
        // What follows the last member has the checksum.
        io::copy(&mut archive.into_inner(), &mut io::sink())
            .map_err(|error| fault.unreadable(error))?;
        self.unpacked += meter.unpacked.get();
        if opened.manifest.is_none() {
            return Err(ConvertError::NoManifest { path: path.to_owned() });
        }
        Ok(opened)
    }

    fn members(
        &mut self,
        archive: &mut Archive<impl Read>,
        fault: &Faults<'_>,
    ) -> Result<Opened, ConvertError> {
        let mut opened = Opened { manifest: None, files: BTreeMap::new() };
        let mut ahead = Ahead::default();
        // Raw, for otherwise long names of any length would be taken into memory.
        let entries = archive.entries().map_err(|error| fault.unreadable(error))?.raw(true);
        for (count, entry) in entries.enumerate() {
            let mut entry = entry.map_err(|error| fault.unreadable(error))?;
            let own_name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if count >= MOST_MEMBERS {
                return Err(fault.member(&own_name, "there are more than 10000 members"));
            }
            match entry.header().entry_type() {
                EntryType::GNULongName => {
                    let text = fault.read_short(&mut entry, &own_name, LONGEST_NAME)?;
                    let text = text.strip_suffix(b"\0").unwrap_or(&text);
                    ahead.name = Some(String::from_utf8_lossy(text).into_owned());
                    continue;
                }
                EntryType::XHeader => {
                    let text = fault.read_short(&mut entry, &own_name, LONGEST_NAME)?;
                    if !ahead.take_attributes(&text) {
                        return Err(fault.member(&own_name, "the attributes are damaged"));
                    }
                    continue;
                }
                EntryType::XGlobalHeader => continue,
                _ => {}
            }
            let Ahead { name, size, is_sparse } = std::mem::take(&mut ahead);
            let name = name.unwrap_or(own_name);
            if is_sparse {
                return Err(fault.member(&name, "it is a sparse file"));
            }
            if size.is_some_and(|size| size != entry.size()) {
                return Err(fault.member(&name, "it is larger than 8 GiB"));
            }
            self.member(entry, &name, &mut opened, fault)?;
        }
        Ok(opened)
    }

    fn member(
        &mut self,
        mut entry: Entry<'_, impl Read>,
        name: &str,
        opened: &mut Opened,
        fault: &Faults<'_>,
    ) -> Result<(), ConvertError> {
        let kind = entry.header().entry_type();
        let is_folder = kind == EntryType::Directory || name.ends_with('/');
        if is_folder && name.trim_matches(['/', '.']).is_empty() && !name.contains("..") {
            return Ok(()); // the root
        }
        if let Some(why) = refusal(kind, name) {
            return Err(fault.member(name, why));
        }
        if is_folder {
            return Ok(());
        }
        let base = base_name(name);
        let place = format!("{}: {name}", fault.path.display());
        if base == "manifest.json" {
            if opened.manifest.is_some() {
                return Err(fault.member(name, "it is the second manifest"));
            }
            let text = fault.read_short(&mut entry, name, LONGEST_MANIFEST)?;
            opened.manifest = Some(Manifest::parse(&text, &place)?);
        } else if !is_csv(Path::new(base)) {
            tracing::warn!(file = place, why = "neither CSV nor the manifest", "left out");
        } else if opened.files.contains_key(base) {
            return Err(ConvertError::Twice { file: place });
        } else {
            self.files += 1;
            let path = self.staging.join(format!("unpacked.{}.csv", self.files));
            self.copy(&mut entry, &path, fault)?;
            opened.files.insert(base.to_owned(), Source { name: place, path });
        }
        Ok(())
    }

    fn copy(
        &self,
        entry: &mut Entry<'_, impl Read>,
        path: &Path,
        fault: &Faults<'_>,
    ) -> Result<(), ConvertError> {
        let failed = |source| ConvertError::Write { path: path.to_owned(), source };
        let mut file = File::create_new(path).map_err(failed)?;
        let mut buffer = vec![0; 1 << 16];
        let mut left = entry.size();
        loop {
            go_on(self.cancelled)?;
            match entry.read(&mut buffer).map_err(|error| fault.unreadable(error))? {
                0 if left > 0 => {
                    return Err(fault.unreadable(io::ErrorKind::UnexpectedEof.into()));
                }
                0 => return Ok(()),
                bytes => {
                    file.write_all(&buffer[..bytes]).map_err(failed)?;
                    left = left.saturating_sub(bytes as u64);
                }
            }
        }
    }
}

/// Why a member is none of a payload's.
fn refusal(kind: EntryType, name: &str) -> Option<&'static str> {
    match kind {
        EntryType::Regular | EntryType::Continuous | EntryType::Directory => {}
        EntryType::Symlink | EntryType::Link | EntryType::GNULongLink => {
            return Some("it is a link");
        }
        EntryType::Char | EntryType::Block | EntryType::Fifo => return Some("it is a device"),
        _ => return Some("it is neither a file nor a folder"),
    }
    if name.starts_with('/') {
        return Some("its path is absolute");
    }
    if name.split('/').any(|part| part == "..") {
        return Some("its path leads out of the archive");
    }
    if name.contains(['\0', '\u{fffd}']) {
        return Some("its name is no text");
    }
    None
}

/// What stands ahead of a member about it.
#[derive(Debug, Default)]
struct Ahead {
    name: Option<String>,
    size: Option<u64>,
    is_sparse: bool,
}

impl Ahead {
    /// Takes in extended attributes; false if they are not well formed.
    fn take_attributes(&mut self, text: &[u8]) -> bool {
        for attribute in PaxExtensions::new(text) {
            let Ok(attribute) = attribute else { return false };
            let value = String::from_utf8_lossy(attribute.value_bytes());
            match attribute.key_bytes() {
                b"path" => self.name = Some(value.into_owned()),
                b"size" => match value.parse() {
                    Ok(size) => self.size = Some(size),
                    Err(_) => return false,
                },
                key => self.is_sparse |= key.starts_with(b"GNU.sparse"),
            }
        }
        true
    }
}

/// Makes errors of one archive.
struct Faults<'a> {
    path: &'a Path,
    meter: &'a Meter,
    max_unpacked: u64,
}

impl Faults<'_> {
    fn unreadable(&self, source: io::Error) -> ConvertError {
        let path = PathBuf::from(self.path);
        match self.meter.excess.get() {
            None => ConvertError::Archive { path, source },
            Some(Excess::Bytes) => ConvertError::Bomb {
                path,
                limit: human(self.max_unpacked),
                way_out: "allow more with --max-unpacked if that is right",
            },
            Some(Excess::Ratio) => ConvertError::Bomb {
                path,
                limit: format!("{MOST_RATIO} times its size"),
                way_out: "if that is right, unpack it and give the folder",
            },
        }
    }

    fn member(&self, name: &str, why: &'static str) -> ConvertError {
        let member = name.chars().take(200).collect();
        ConvertError::Member { path: self.path.to_owned(), member, why }
    }

    fn read_short(
        &self,
        entry: &mut Entry<'_, impl Read>,
        name: &str,
        limit: u64,
    ) -> Result<Vec<u8>, ConvertError> {
        let size = entry.size();
        if size > limit {
            return Err(self.member(name, "it is too long for a manifest or a name"));
        }
        let mut text = Vec::new();
        entry.read_to_end(&mut text).map_err(|error| self.unreadable(error))?;
        if (text.len() as u64) < size {
            return Err(self.unreadable(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(text)
    }
}

/// Bytes in and out of the decompression.
#[derive(Debug, Default)]
struct Meter {
    packed: Cell<u64>,
    unpacked: Cell<u64>,
    excess: Cell<Option<Excess>>,
}

#[derive(Debug, Clone, Copy)]
enum Excess {
    Bytes,
    Ratio,
}

struct Counted<R> {
    inner: R,
    meter: Rc<Meter>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.meter.packed.set(self.meter.packed.get() + bytes as u64);
        Ok(bytes)
    }
}

struct Limited<R> {
    inner: R,
    meter: Rc<Meter>,
    limit: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        let unpacked = self.meter.unpacked.get() + bytes as u64;
        self.meter.unpacked.set(unpacked);
        let excess = if unpacked > self.limit {
            Excess::Bytes
        } else if unpacked > RATIO_FROM
            && unpacked > self.meter.packed.get().saturating_mul(MOST_RATIO)
        {
            Excess::Ratio
        } else {
            return Ok(bytes);
        };
        self.meter.excess.set(Some(excess));
        Err(io::Error::new(io::ErrorKind::QuotaExceeded, "the archive unpacks to too much"))
    }
}
