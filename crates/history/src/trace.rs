//! Trace files: `timestamp,value` as csv or csv.gz.
//!
//! # Format
//! A header line that names the columns `timestamp` and `value` in either order, then one row a bin, in ascending
//! time; other columns are refused, because a load with labels is several series and only its owner knows which is
//! meant. Compression is detected by content, not by name.
//!
//! `timestamp` is when the bin *begins*, written in one form throughout the file: `YYYY-MM-DD HH:MM:SS` (UTC),
//! RFC 3339 with an offset, or whole Unix seconds. A file that changes its offset on the way is refused: the rows of the
//! hour that daylight saving time repeats would be ambiguous to whoever wrote it.
//!
//! `value` is the mean load over the bin: a finite number. An empty field and `NaN` are gaps, an infinity is refused.
//!
//! The step is the most common difference between rows; where rows are missing there is a gap. A row off that grid is
//! refused: averaging it into its bin would need to know how long it held.

mod error;
mod grid;
mod input;
#[cfg(test)]
mod tests;
mod timestamp;

use std::io::Read;
use std::path::Path;

use csv::ByteRecord;
use foreshard_forecast::Series;

pub use error::{TraceError, TraceProblem};
use grid::Grid;
use timestamp::{Form, Timestamp};

/// Most bins of a series, and most rows of a file, unless asked otherwise: 38 years at one minute, 160 MB.
pub const BINS_MAX: usize = 20_000_000;

/// Most bytes of one line. Well above any real row; without it a small gzip file could unfold into one endless line.
pub const LINE_BYTES_MAX: usize = 4096;

/// Rows between two calls of the progress callback.
const PROGRESS_ROWS: u64 = 1 << 16;

/// Limits on reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Most bins of the series, gaps included, and most rows of the file.
    pub bins_max: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { bins_max: BINS_MAX }
    }
}

/// How far reading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Rows read.
    pub rows: u64,
    /// Bytes of the file read, compressed ones where it is compressed.
    pub bytes: u64,
    /// Size of the file; 0 where it has none, as a pipe.
    pub bytes_total: u64,
}

/// The name of a trace: its file name without `.csv` or `.csv.gz`.
#[must_use]
pub fn name(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = file.strip_suffix(".gz").unwrap_or(&file);
    plain.strip_suffix(".csv").unwrap_or(plain).to_owned()
}

/// Reads a trace file in one pass.
///
/// Memory: 8 bytes a row while the rows are regular, plus 32 for every place where they are not. `progress` is called
/// every 65,536 rows and once at the end.
///
/// # Errors
/// When the file cannot be read or is not a trace; the error names the file, the line, the field and the fix.
pub fn read(
    path: &Path,
    options: &ReadOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Series, TraceError> {
    rows(path, input::open(path), options, progress)
}

/// Reads a trace that is part of the program; `name` stands for it in errors.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(
    name: &Path,
    bytes: &'static [u8],
    options: &ReadOptions,
) -> Result<Series, TraceError> {
    let input = input::of(bytes, bytes.len() as u64);
    rows(name, input, options, &mut |_| {})
}

/// Reads a trace that came over a connection; `name` stands for it in errors.
///
/// # Errors
/// As [`read`].
pub fn read_from(
    name: &Path,
    input: impl Read + 'static,
    options: &ReadOptions,
) -> Result<Series, TraceError> {
    rows(name, input::of(input, 0), options, &mut |_| {})
}

fn rows(
    path: &Path,
    input: Result<input::Input, TraceProblem>,
    options: &ReadOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Series, TraceError> {
    let fail = |line: Option<u64>, problem: TraceProblem| TraceError {
        path: path.to_owned(),
        line,
        problem,
    };
    let input = input.map_err(|problem| fail(None, problem))?;
    let (position, bytes_total) = (input.position, input.bytes_total);
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        // A quoted field may hold line feeds, so one stray quote would swallow the rest of the file.
        .quoting(false)
        .from_reader(input.reader);
    let header = reader
        .byte_headers()
        .map_err(|error| fail(None, TraceProblem::from(error)))?;
    let columns = Columns::find(header).map_err(|problem| fail(Some(1), problem))?;

    let mut grid = Grid::new(options.bins_max);
    let mut form: Option<Form> = None;
    let mut record = ByteRecord::new();
    let mut rows = 0;
    loop {
        let more = reader
            .read_byte_record(&mut record)
            .map_err(|error| fail(Some(reader.position().line()), TraceProblem::from(error)))?;
        if !more {
            break;
        }
        let line = record.position().map(csv::Position::line);
        let row = columns
            .row(&record, &mut form)
            .map_err(|problem| fail(line, problem))?;
        grid.push(row, line.unwrap_or(0))
            .map_err(|problem| fail(line, problem))?;
        rows += 1;
        if rows % PROGRESS_ROWS == 0 {
            let bytes = position.get();
            progress(Progress {
                rows,
                bytes,
                bytes_total,
            });
        }
    }
    progress(Progress {
        rows,
        bytes: position.get(),
        bytes_total,
    });
    grid.finish().map_err(|(line, problem)| fail(line, problem))
}

/// Where the two columns are.
struct Columns {
    timestamp: usize,
    value: usize,
}

impl Columns {
    fn find(header: &ByteRecord) -> Result<Self, TraceProblem> {
        let names: Vec<String> = header
            .iter()
            .map(|name| unquoted(&String::from_utf8_lossy(name)).to_ascii_lowercase())
            .collect();
        if names.iter().all(String::is_empty) {
            return Err(TraceProblem::Empty);
        }
        let find = |wanted: &'static str| {
            names.iter().position(|name| name == wanted).ok_or_else(|| {
                TraceProblem::ColumnMissing {
                    column: wanted,
                    found: names.join(","),
                }
            })
        };
        let columns = Self {
            timestamp: find("timestamp")?,
            value: find("value")?,
        };
        let mut others = (0..names.len()).filter(|&i| i != columns.timestamp && i != columns.value);
        match others.next() {
            None => Ok(columns),
            Some(i) => Err(TraceProblem::ColumnUnknown {
                column: names[i].clone(),
            }),
        }
    }

    /// One row; the first one settles the form in which times are written.
    fn row(
        &self,
        record: &ByteRecord,
        form: &mut Option<Form>,
    ) -> Result<(i64, f64), TraceProblem> {
        if record.len() != 2 {
            return Err(TraceProblem::FieldCount {
                found: record.len(),
            });
        }
        let time = Timestamp::parse(text(&record[self.timestamp], "timestamp")?)?;
        match form {
            None => *form = Some(time.form),
            Some(first) if *first == time.form => {}
            Some(first) => {
                return Err(TraceProblem::MixedZones {
                    first: first.to_string(),
                    found: time.form.to_string(),
                });
            }
        }
        Ok((
            time.unix_seconds,
            parse_value(text(&record[self.value], "value")?)?,
        ))
    }
}

/// The text of a field, without the quotes that some programs put around everything.
fn text<'a>(bytes: &'a [u8], field: &'static str) -> Result<&'a str, TraceProblem> {
    let text = std::str::from_utf8(bytes).map_err(|_| TraceProblem::NotText { field })?;
    Ok(unquoted(text))
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .map_or(text, str::trim)
}

/// A finite value, or NaN for a gap.
fn parse_value(text: &str) -> Result<f64, TraceProblem> {
    if text.is_empty() {
        return Ok(f64::NAN);
    }
    let value: f64 = text.parse().map_err(|_| TraceProblem::NotANumber {
        found: error::shortened(text),
    })?;
    if value.is_infinite() {
        return Err(TraceProblem::Infinite {
            found: error::shortened(text),
        });
    }
    Ok(value)
}
