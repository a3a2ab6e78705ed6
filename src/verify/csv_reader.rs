//! A CSV reader that tells a quoted field from a bare one, which `\N` needs.

use std::io::{self, BufRead};

use super::LoadError;

/// A field of the current record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub text: &'a str,
    pub quoted: bool,
}

impl Field<'_> {
    pub fn is_null(&self) -> bool {
        !self.quoted && self.text == "\\N"
    }
}

/// Records of `,`-separated fields, one at a time. Blank lines are passed over.
pub(super) struct Records<R> {
    input: R,
    name: String,
    /// The current record as it stands in the input, without its line end.
    raw: Vec<u8>,
    /// The current record's fields, unquoted, one after the other.
    text: String,
    fields: Vec<(usize, bool)>,
    first_line: u64,
    lines: u64,
}

impl<R: BufRead> Records<R> {
    /// `name` is what errors call the input.
    pub fn new(input: R, name: String) -> Self {
        Records {
            input,
            name,
            raw: Vec::new(),
            text: String::new(),
            fields: Vec::new(),
            first_line: 0,
            lines: 0,
        }
    }

    /// The input and the line on which the current record begins.
    pub fn place(&self) -> String {
        format!("{}, line {}", self.name, self.first_line)
    }

    pub fn len(&self) -> usize {
        self.fields.len()
    }

    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        let mut start = 0;
        self.fields.iter().map(move |&(end, quoted)| {
            let text = &self.text[start..end];
            start = end;
            Field { text, quoted }
        })
    }

    /// Reads the next record; `false` at the end.
    pub fn advance(&mut self) -> Result<bool, LoadError> {
        loop {
            self.raw.clear();
            self.first_line = self.lines + 1;
            if !self.read_line()? {
                return Ok(false);
            }
            if self.lines == 1 && self.raw.starts_with(b"\xef\xbb\xbf") {
                self.raw.drain(..3);
            }
            if line_end(&self.raw) > 0 {
                self.split()?;
                return Ok(true);
            }
        }
    }

    fn read_line(&mut self) -> Result<bool, LoadError> {
        match self.input.read_until(b'\n', &mut self.raw) {
            Ok(0) => Ok(false),
            Ok(_) => {
                self.lines += 1;
                Ok(true)
            }
            Err(source) => Err(LoadError::Read {
                place: format!("{} after line {}", self.name, self.lines),
                source,
            }),
        }
    }

    /// Cuts the raw record into fields, reading on while a quoted field runs over the line's end.
    fn split(&mut self) -> Result<(), LoadError> {
        self.fields.clear();
        let mut text = std::mem::take(&mut self.text).into_bytes();
        text.clear();
        let mut at = 0;
        loop {
            let quoted = self.raw.get(at) == Some(&b'"');
            if quoted {
                at += 1;
                loop {
                    match self.raw[at..].iter().position(|&b| b == b'"') {
                        Some(n) => {
                            text.extend_from_slice(&self.raw[at..at + n]);
                            at += n + 1;
                            if self.raw.get(at) != Some(&b'"') {
                                break;
                            }
                            text.push(b'"');
                            at += 1;
                        }
                        None => {
                            text.extend_from_slice(&self.raw[at..]);
                            at = self.raw.len();
                            if !self.read_line()? {
                                return Err(LoadError::OpenQuote { place: self.place() });
                            }
                        }
                    }
                }
            }
            // A bare field, or what follows a closing quote.
            let end = line_end(&self.raw);
            let rest = &self.raw[at.min(end)..end];
            let stop = rest.iter().position(|&b| b == b',');
            let n = stop.unwrap_or(rest.len());
            text.extend_from_slice(&rest[..n]);
            self.fields.push((text.len(), quoted));
            match stop {
                Some(_) => at += n + 1,
                None => break,
            }
        }
        match String::from_utf8(text) {
            Ok(text) => self.text = text,
            Err(_) => return Err(LoadError::NotUtf8 { place: self.place() }),
        }
        // A character cut by a comma would be two broken halves that join to a valid whole.
        if self.fields.iter().all(|&(end, _)| self.text.is_char_boundary(end)) {
            Ok(())
        } else {
            Err(LoadError::NotUtf8 { place: self.place() })
        }
    }
}

/// Where the last line's content ends.
fn line_end(raw: &[u8]) -> usize {
    let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
    raw.strip_suffix(b"\r").unwrap_or(raw).len()
}

/// Turns `copy_out`'s and files' readers into what [`Records`] takes.
pub(super) fn buffered<R: io::Read>(reader: R) -> io::BufReader<R> {
    io::BufReader::with_capacity(1 << 17, reader)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Result<Vec<Vec<(String, bool)>>, LoadError> {
        let mut records = Records::new(input, "x.csv".to_owned());
        let mut all = Vec::new();
        while records.advance()? {
            all.push(records.fields().map(|f| (f.text.to_owned(), f.quoted)).collect());
        }
        Ok(all)
    }

    fn texts(input: &[u8]) -> Vec<Vec<String>> {
        let records = read(input).unwrap();
        records.into_iter().map(|r| r.into_iter().map(|(text, _)| text).collect()).collect()
    }

    #[test]
    fn fields_lines_and_quotes() {
        assert_eq!(texts(b"a,b\n1,2"), [["a", "b"], ["1", "2"]]);
        assert_eq!(texts(b"a,b\r\n1,2\r\n"), [["a", "b"], ["1", "2"]]);
        assert_eq!(texts(b"\xef\xbb\xbfa,\n\n,\n"), [["a", ""], ["", ""]]);
        assert_eq!(texts(b"\"x,\"\"y\"\"\nz\",\"\"\n1,2\n"), [["x,\"y\"\nz", ""], ["1", "2"]]);
        assert_eq!(texts(b"a\"b,c\n"), [["a\"b", "c"]]);
        assert_eq!(texts(b"\"a\r\n\"\r\n"), [["a\r\n"]]);
    }

    #[test]
    fn quoted_null_is_a_text() {
        let records = read(b"\\N,\"\\N\"\n").unwrap();
        assert_eq!(records, [[("\\N".to_owned(), false), ("\\N".to_owned(), true)]]);
    }

    #[test]
    fn errors_name_the_line_the_record_begins_on() {
        let error = read(b"a\n\"1\n2\"\n\"open\n...\n").unwrap_err();
        assert_eq!(error.to_string(), "x.csv, line 4 opens a quoted field that is never closed");
        let error = read(b"a\n\xff\n").unwrap_err();
        assert_eq!(error.to_string(), "x.csv, line 2 is not UTF-8");
        let error = read(b"\xc3,\xa9\n").unwrap_err();
        assert_eq!(error.to_string(), "x.csv, line 1 is not UTF-8");
    }
}
