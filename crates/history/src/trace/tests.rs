use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn write(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn read_bytes(bytes: &[u8]) -> Result<Series, String> {
    let file = write(bytes);
    read(file.path(), &ReadOptions::default(), &mut |_| {}).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        let text = format!("{error}{}", cause.unwrap_or_default());
        text.replace(file.path().to_str().unwrap(), "FILE")
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn check(text: &str, start: i64, step: i64, values: &[f64]) {
    let series = read_bytes(text.as_bytes()).unwrap();
    assert_eq!((series.start, series.step), (start, step));
    // NaN is not equal to itself, its text is.
    assert_eq!(format!("{:?}", series.values), format!("{values:?}"));
}

const GAP: f64 = f64::NAN;

#[test]
fn the_three_forms_of_time() {
    let values = [1.0, 2.5];
    check(
        "timestamp,value\n1970-01-02 00:00:00,1\n1970-01-02 00:05:00,2.5\n",
        86_400,
        300,
        &values,
    );
    check(
        "timestamp,value\n1970-01-02T00:00:00Z,1\n1970-01-02T00:05:00+00:00,2.5\n",
        86_400,
        300,
        &values,
    );
    check(
        "timestamp,value\n1970-01-02T01:00:00+01:00,1\n1970-01-02T01:05:00+01:00,2.5\n",
        86_400,
        300,
        &values,
    );
    check(
        "timestamp,value\n1970-01-01 20:30-03:30,1\n1970-01-01 20:35-0330,2.5\n",
        86_400,
        300,
        &values,
    );
    check(
        "timestamp,value\n86400,1\n86700.0,2.5\n",
        86_400,
        300,
        &values,
    );
    check("timestamp,value\n-300,1\n0,2.5\n", -300, 300, &values);
}

#[test]
fn columns_by_name_quotes_spaces_and_line_ends() {
    check("value,timestamp\n1,0\n2,60\n", 0, 60, &[1.0, 2.0]);
    check(
        "\u{feff}Timestamp, Value\r\n0, 1\r\n60, 2\r\n",
        0,
        60,
        &[1.0, 2.0],
    );
    check(
        "\"timestamp\",\"value\"\n\"0\",\"1\"\n\"60\",\"\"\n\"120\",\"3\"",
        0,
        60,
        &[1.0, GAP, 3.0],
    );
}

#[test]
fn what_is_not_known_is_a_gap() {
    check(
        "timestamp,value\n0,1\n60,\n120,NaN\n180,4\n",
        0,
        60,
        &[1.0, GAP, GAP, 4.0],
    );
    check(
        "timestamp,value\n0,1\n60,2\n240,5\n300,6\n",
        0,
        60,
        &[1.0, 2.0, GAP, GAP, 5.0, 6.0],
    );
    // The first difference is a gap, the step is the common one.
    check(
        "timestamp,value\n0,1\n180,4\n240,5\n300,6\n",
        0,
        60,
        &[1.0, GAP, GAP, 4.0, 5.0, 6.0],
    );
    // Of equally common differences the finer one is the step.
    check(
        "timestamp,value\n0,1\n120,3\n180,4\n",
        0,
        60,
        &[1.0, GAP, 3.0, 4.0],
    );
}

#[test]
fn zeros_and_negatives_are_values() {
    check(
        "timestamp,value\n0,0\n60,-3.5\n120,1e-3\n",
        0,
        60,
        &[0.0, -3.5, 0.001],
    );
}

#[test]
fn gzip_is_found_by_content() {
    let text = b"timestamp,value\n0,1\n60,2\n";
    let series = read_bytes(&gzip(text)).unwrap();
    assert_eq!(series.values, [1.0, 2.0]);
    // Two members, as `cat a.gz b.gz` writes them.
    let mut two = gzip(text);
    two.extend(gzip(b"120,3\n"));
    assert_eq!(read_bytes(&two).unwrap().values, [1.0, 2.0, 3.0]);
}

#[test]
fn bad_files_are_refused_with_place_and_fix() {
    let cases: &[(&str, &[u8])] = &[
        ("empty", b""),
        ("blank", b"\n\n"),
        ("only a header", b"timestamp,value\n"),
        ("one row", b"timestamp,value\n0,1\n"),
        ("all gaps", b"timestamp,value\n0,\n60,NaN\n"),
        ("no value column", b"timestamp,load\n0,1\n60,2\n"),
        ("semicolons", b"timestamp;value\n0;1\n"),
        ("no header", b"0,1\n60,2\n"),
        ("one column more", b"timestamp,value,shard\n0,1,a\n60,2,a\n"),
        ("a field missing", b"timestamp,value\n0,1\n60\n"),
        ("decimal comma", b"timestamp,value\n0,1\n60,2,5\n"),
        ("no time", b"timestamp,value\n0,1\n,2\n"),
        ("not a time", b"timestamp,value\n0,1\nyesterday,2\n"),
        ("a day", b"timestamp,value\n2020-01-01,1\n2020-01-02,2\n"),
        (
            "an impossible day",
            b"timestamp,value\n2021-02-29 00:00:00,1\n2021-02-29 00:05:00,2\n",
        ),
        (
            "milliseconds",
            b"timestamp,value\n1700000000000,1\n1700000060000,2\n",
        ),
        (
            "half a second",
            b"timestamp,value\n1700000000.5,1\n1700000060.5,2\n",
        ),
        (
            "half a second in text",
            b"timestamp,value\n2020-01-01T00:00:00.5Z,1\n",
        ),
        (
            "plain and offset",
            b"timestamp,value\n2020-01-01 00:00:00,1\n2020-01-01 00:05:00Z,2\n",
        ),
        (
            "two offsets",
            b"timestamp,value\n2020-10-25T02:55:00+02:00,1\n2020-10-25T02:00:00+01:00,2\n",
        ),
        ("unsorted", b"timestamp,value\n0,1\n120,3\n60,2\n"),
        ("duplicate", b"timestamp,value\n0,1\n60,2\n60,2\n"),
        (
            "off the grid",
            b"timestamp,value\n0,1\n60,2\n120,3\n200,4\n240,5\n300,6\n",
        ),
        (
            "first row off the grid",
            b"timestamp,value\n7,1\n60,2\n120,3\n180,4\n",
        ),
        (
            "drifting",
            b"timestamp,value\n0,1\n60,2\n120,3\n180,3\n250,4\n320,5\n",
        ),
        ("not a number", b"timestamp,value\n0,1\n60,n/a\n"),
        ("infinite", b"timestamp,value\n0,1\n60,inf\n"),
        ("too large", b"timestamp,value\n0,1\n60,-1e999\n"),
        ("years apart", b"timestamp,value\n0,1\n1,2\n99999999999,3\n"),
        ("not text", b"timestamp,value\n0,\xff\xfe\n60,2\n"),
        (
            "control characters",
            b"timestamp,value\n0,\x1b[31mred\n60,2\n",
        ),
        ("a quote left open", b"timestamp,value\n\"0,1\n60,2\n"),
    ];
    let mut report = String::new();
    for (name, bytes) in cases {
        let error = read_bytes(bytes).expect_err(name);
        report.push_str(&format!("{name}: {error}\n"));
    }
    insta::assert_snapshot!(report);
}

#[test]
fn damaged_gzip_is_refused() {
    let rows: String = (0..500)
        .map(|i| format!("{},{}\n", i * 60, i * i % 97))
        .collect();
    let whole = gzip(format!("timestamp,value\n{rows}").as_bytes());
    for cut in [2, 9, 12, whole.len() / 2, whole.len() - 1] {
        let error = read_bytes(&whole[..cut]).unwrap_err();
        assert!(error.contains("cut off or damaged"), "{cut}: {error}");
    }
    let mut trailing = whole.clone();
    trailing.extend(b"rubbish");
    assert!(read_bytes(&trailing).is_err());
}

#[test]
fn endless_lines_are_refused_before_they_are_held() {
    let error = read_bytes(&gzip(&vec![b'1'; 64 << 20])).unwrap_err();
    assert!(error.contains("longer than 4096 bytes"), "{error}");
    let mut header_only = b"timestamp,value\n0,1\n60,".to_vec();
    header_only.extend(vec![b'9'; 1 << 20]);
    let error = read_bytes(&header_only).unwrap_err();
    assert!(error.contains("longer than 4096 bytes"), "{error}");
}

#[test]
fn missing_file_and_directory() {
    let directory = tempfile::tempdir().unwrap();
    for (path, fix) in [
        (directory.path().join("none.csv"), "check the path"),
        (directory.path().to_owned(), "name a csv or csv.gz file"),
    ] {
        let error = read(&path, &ReadOptions::default(), &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains(fix), "{error}");
    }
}

#[test]
fn too_many_rows_are_refused_as_they_come() {
    let file = write(b"timestamp,value\n0,1\n60,2\n120,3\n");
    let error = read(file.path(), &ReadOptions { bins_max: 2 }, &mut |_| {}).unwrap_err();
    assert!(
        matches!(error.problem, TraceProblem::TooLong { .. }),
        "{error}"
    );
    assert_eq!(error.line, Some(4));
}

#[test]
fn progress_counts_rows_and_bytes() {
    let mut text = String::from("timestamp,value\n");
    for i in 0..200_000 {
        text.push_str(&format!("{},{}\n", i * 10, i % 7));
    }
    let file = write(text.as_bytes());
    let mut seen = Vec::new();
    let series = read(file.path(), &ReadOptions::default(), &mut |p| seen.push(p)).unwrap();
    assert_eq!(series.values.len(), 200_000);
    assert_eq!(seen.len(), 4);
    assert!(seen.is_sorted_by_key(|p| (p.rows, p.bytes)));
    let last = seen.last().unwrap();
    assert_eq!((last.rows, last.bytes), (200_000, text.len() as u64));
    assert_eq!(last.bytes_total, text.len() as u64);
}

#[test]
fn the_shipped_traces_are_traces() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/traces");
    let mut files = 0;
    for entry in [folder.clone(), folder.join("1min")] {
        for file in std::fs::read_dir(entry).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "gz") {
                continue;
            }
            let series = read(&path, &ReadOptions::default(), &mut |_| {}).unwrap();
            assert!(series.values.len() > 1000, "{}", path.display());
            files += 1;
        }
    }
    assert_eq!(files, 32);
}

#[test]
fn names_of_traces() {
    for (path, expected) in [
        ("a/crane_01.csv.gz", "crane_01"),
        ("b.csv", "b"),
        ("c.x", "c.x"),
    ] {
        assert_eq!(name(Path::new(path)), expected);
    }
}
