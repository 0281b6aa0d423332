//! What can be wrong with a trace file, and how to mend it.

use std::fmt;
use std::path::PathBuf;

/// A trace file that could not be read, and where.
#[derive(Debug)]
pub struct TraceError {
    /// The file as it was named.
    pub path: PathBuf,
    /// The line, counted from 1, where the problem has one.
    pub line: Option<u64>,
    /// What is wrong and how to mend it.
    pub problem: TraceProblem,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        self.problem.fmt(f)
    }
}

impl std::error::Error for TraceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The problem is already part of the message: only its cause is news.
        std::error::Error::source(&self.problem)
    }
}

/// What is wrong with a trace file.
#[derive(Debug, thiserror::Error)]
pub enum TraceProblem {
    /// The file cannot be opened or read.
    #[error("failed to read the file")]
    Io(#[source] std::io::Error),
    /// There is no such file.
    #[error("there is no such file: check the path, which is relative to the current directory")]
    NotThere,
    /// It is a directory.
    #[error("this is a directory: name a csv or csv.gz file in it")]
    Directory,
    /// The gzip stream ends early or does not decompress.
    #[error("the gzip data is cut off or damaged: copy or download the file again")]
    Gzip(#[source] std::io::Error),
    /// Nothing in it.
    #[error("the file is empty: it needs a header line `timestamp,value` and at least two rows")]
    Empty,
    /// A header and not enough rows.
    #[error("the file has {rows} row(s): at least two are needed to know the step")]
    TooShort {
        /// Rows found.
        rows: u64,
    },
    /// Rows, but all of them gaps.
    #[error("field `value`: every row is empty or NaN, so there is no load to learn from")]
    NoValues,
    /// A column is missing.
    #[error(
        "column `{column}` is missing: the header is `{found}`, it should be `timestamp,value` (separated by a comma)"
    )]
    ColumnMissing {
        /// The wanted column.
        column: &'static str,
        /// The header found.
        found: String,
    },
    /// A column that is neither time nor value.
    #[error(
        "column `{column}` is not known: keep only `timestamp` and `value`, one file for each series"
    )]
    ColumnUnknown {
        /// The column.
        column: String,
    },
    /// A row with too few or too many fields.
    #[error("the row has {found} field(s) instead of 2 (a decimal comma must be a point)")]
    FieldCount {
        /// Fields found.
        found: usize,
    },
    /// Bytes that are not UTF-8.
    #[error("field `{field}` is not UTF-8 text: is this a csv file?")]
    NotText {
        /// The field.
        field: &'static str,
    },
    /// A line without end.
    #[error(
        "the line is longer than {} bytes: is this a csv file?",
        super::LINE_BYTES_MAX
    )]
    LineTooLong,
    /// An empty time.
    #[error("field `timestamp` is empty: leave out the whole row to mark a gap")]
    TimestampMissing,
    /// A time in none of the three forms.
    #[error(
        "field `timestamp`: `{found}` is not a time: write `YYYY-MM-DD HH:MM:SS` (UTC), RFC 3339 or whole Unix seconds"
    )]
    TimestampForm {
        /// The text found.
        found: String,
    },
    /// A time finer than a second.
    #[error(
        "field `timestamp`: `{found}` is not a whole second: average to steps of whole seconds"
    )]
    TimestampFraction {
        /// The text found.
        found: String,
    },
    /// Unix milliseconds or finer.
    #[error("field `timestamp`: `{found}` looks like Unix milliseconds: divide by 1000")]
    TimestampUnit {
        /// The text found.
        found: String,
    },
    /// Two ways of writing time in one file.
    #[error(
        "field `timestamp`: the file began with {first} and goes on with {found}: write all times in UTC"
    )]
    MixedZones {
        /// How the first row is written.
        first: String,
        /// How this row is written.
        found: String,
    },
    /// A time before the one above it.
    #[error(
        "field `timestamp`: this row is {seconds} s earlier than the one before it: sort the rows by time"
    )]
    Unsorted {
        /// How much earlier.
        seconds: i64,
    },
    /// The same time twice.
    #[error("field `timestamp`: the same time as in the row before it: keep one row for each time")]
    Duplicate,
    /// A time between two bins.
    #[error(
        "field `timestamp`: this row is {seconds} s off the grid of {step} s on which most rows are: average the values to a regular step"
    )]
    OffGrid {
        /// Distance after the grid point before it.
        seconds: i64,
        /// Step of the grid.
        step: i64,
    },
    /// Text where a number should be.
    #[error("field `value`: `{found}` is not a number: leave the field empty to mark a gap")]
    NotANumber {
        /// The text found.
        found: String,
    },
    /// An infinity.
    #[error("field `value`: `{found}` is not finite: leave the field empty to mark a gap")]
    Infinite {
        /// The text found.
        found: String,
    },
    /// Too many rows, or rows too far apart for their step.
    #[error(
        "the series has {bins} bins or more, and the limit is {bins_max}: average to a longer step or cut the file"
    )]
    TooLong {
        /// Bins counted so far.
        bins: u64,
        /// The limit.
        bins_max: usize,
    },
}

impl From<csv::Error> for TraceProblem {
    fn from(error: csv::Error) -> Self {
        match error.into_kind() {
            csv::ErrorKind::Io(error) => Self::from(error),
            // With byte records of any length nothing else is left for the reader to complain about.
            kind => Self::Io(std::io::Error::other(format!("{kind:?}"))),
        }
    }
}

impl From<std::io::Error> for TraceProblem {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        if error
            .get_ref()
            .is_some_and(|inner| inner.is::<super::input::EndlessLine>())
        {
            return Self::LineTooLong;
        }
        match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::InvalidInput | ErrorKind::InvalidData => {
                Self::Gzip(error)
            }
            _ => Self::Io(error),
        }
    }
}

/// Foreign text for a message: short, on one line.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
