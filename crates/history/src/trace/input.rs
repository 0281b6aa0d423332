//! The bytes of a trace file: decompressed where needed, counted, and bounded by line.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

use super::LINE_BYTES_MAX;
use super::error::TraceProblem;

/// An opened trace file.
pub(super) struct Input {
    /// Its text.
    pub(super) reader: Box<dyn Read>,
    /// Bytes of the file read so far.
    pub(super) position: Rc<Cell<u64>>,
    /// Size of the file, 0 where it has none.
    pub(super) bytes_total: u64,
}

pub(super) fn open(path: &Path) -> Result<Input, TraceProblem> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => TraceProblem::NotThere,
        _ => TraceProblem::Io(error),
    })?;
    let metadata = file.metadata().map_err(TraceProblem::Io)?;
    if metadata.is_dir() {
        return Err(TraceProblem::Directory);
    }
    of(file, metadata.len())
}

/// The same of bytes that are no file.
pub(super) fn of(inner: impl Read + 'static, bytes_total: u64) -> Result<Input, TraceProblem> {
    let position = Rc::new(Cell::new(0));
    let counted = Counted {
        inner,
        position: Rc::clone(&position),
    };
    let mut buffered = BufReader::with_capacity(1 << 16, counted);
    let gzip = buffered
        .fill_buf()
        .map_err(TraceProblem::Io)?
        .starts_with(&[0x1f, 0x8b]);
    let reader: Box<dyn Read> = if gzip {
        Box::new(BoundedLines::new(MultiGzDecoder::new(buffered)))
    } else {
        Box::new(BoundedLines::new(buffered))
    };
    Ok(Input {
        reader,
        position,
        bytes_total,
    })
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    position: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.position.set(self.position.get() + read as u64);
        Ok(read)
    }
}

/// A line went on for more than [`LINE_BYTES_MAX`].
#[derive(Debug, thiserror::Error)]
#[error("endless line")]
pub(super) struct EndlessLine;

/// Fails on endless lines, so that a csv record has a bound.
struct BoundedLines<R> {
    inner: R,
    /// Bytes since the last line feed.
    open: usize,
}

impl<R> BoundedLines<R> {
    fn new(inner: R) -> Self {
        Self { inner, open: 0 }
    }
}

impl<R: Read> Read for BoundedLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Reads no longer than the limit, so that a line is noticed before twice of it is held.
        let room = buffer.len().min(LINE_BYTES_MAX);
        let read = self.inner.read(&mut buffer[..room])?;
        self.open = match buffer[..read].iter().rposition(|&byte| byte == b'\n') {
            Some(index) => read - index - 1,
            None => self.open + read,
        };
        if self.open > LINE_BYTES_MAX {
            return Err(io::Error::other(EndlessLine));
        }
        Ok(read)
    }
}
