//! Ten million rows: read in bounded memory, with progress. A test binary of its own, because peak memory is a fact
//! about a whole process.

use std::io::{BufWriter, Write as _};

use foreshard_history::trace::{self, ReadOptions};

#[test]
fn ten_million_rows_take_little_more_than_their_values() {
    const ROWS: u64 = 10_000_000;
    let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    let mut out = BufWriter::with_capacity(1 << 20, file.as_file());
    writeln!(out, "timestamp,value").unwrap();
    for i in 0..ROWS {
        // A gap now and then, so that the grid has work to do.
        if i % 1_000_003 != 5 {
            writeln!(out, "{},{}.5", 1_600_000_000 + i * 10, i % 1000).unwrap();
        }
    }
    out.flush().unwrap();
    let before = peak_kibibytes();
    let mut calls = 0;
    let series = trace::read(file.path(), &ReadOptions::default(), &mut |_| calls += 1).unwrap();
    assert_eq!(series.values.len() as u64, ROWS);
    assert_eq!(
        series.values.iter().filter(|value| value.is_nan()).count(),
        10
    );
    assert!(calls > 100);
    if let (Some(before), Some(after)) = (before, peak_kibibytes()) {
        // 80 MB of values; a vector that grows, and the copy onto the grid, may each hold about twice of it for a moment.
        let grown = after - before;
        assert!(grown < 300 << 10, "grown by {grown} KiB");
    }
}

/// Peak resident memory of this process, where the system tells.
fn peak_kibibytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
