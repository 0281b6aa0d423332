//! Against a small HTTP server that says whatever a case wants said.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// What the fake server does with a request, given its parameters.
type Answer = dyn Fn(&BTreeMap<String, String>) -> Reply + Send + Sync;

enum Reply {
    /// Status, content type, body.
    Http(u16, &'static str, String),
    /// Half of an answer, then silence and the end.
    Broken,
    /// Nothing, for as long as the client waits.
    Silent,
}

fn json(body: impl Into<String>) -> Reply {
    Reply::Http(200, "application/json", body.into())
}

/// Starts a server on a free port and gives its URL and the log of the queries it saw.
async fn serve(answer: Box<Answer>) -> (String, Arc<Mutex<Vec<BTreeMap<String, String>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&log);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            let query = parameters(&String::from_utf8(head).unwrap());
            let reply = answer(&query);
            seen.lock().unwrap().push(query);
            match reply {
                Reply::Http(status, kind, body) => {
                    let length = body.len();
                    let head = format!(
                        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                    );
                    // The client may hang up on an answer that is too large.
                    let _ = socket.write_all(head.as_bytes()).await;
                    let _ = socket.write_all(body.as_bytes()).await;
                }
                Reply::Broken => {
                    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"status\"";
                    socket.write_all(head.as_bytes()).await.unwrap();
                }
                Reply::Silent => std::future::pending().await,
            }
        }
    });
    (url, log)
}

fn parameters(head: &str) -> BTreeMap<String, String> {
    let target = head.split(' ').nth(1).unwrap();
    let (_, query) = target.split_once('?').unwrap();
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap());
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn matrix(rows: &[(&str, &[(i64, &str)])]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|(labels, values)| {
            let values: Vec<_> = values
                .iter()
                .map(|(time, value)| format!("[{time},\"{value}\"]"))
                .collect();
            format!("{{\"metric\":{labels},\"values\":[{}]}}", values.join(","))
        })
        .collect();
    format!(
        "{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{}]}}}}",
        rows.join(",")
    )
}

async fn fetch_from(url: &str, from: i64, to: i64, step: i64) -> Result<Series, SourceError> {
    let source = Source::new(url, Duration::from_secs(5))?;
    let query = RangeQuery {
        promql: "load".to_owned(),
        from,
        to,
        step,
    };
    source.fetch(&query, &mut |_, _| {}).await
}

#[tokio::test]
async fn samples_fill_the_bins_that_end_with_them() {
    let body = matrix(&[(
        "{}",
        &[
            (660, "1"),
            (720, "2.5"),
            (900, "NaN"),
            (960, "+Inf"),
            (1020, "7"),
        ],
    )]);
    let (url, log) = serve(Box::new(move |_| json(body.clone()))).await;
    let series = fetch_from(&url, 601, 1079, 60).await.unwrap();
    assert_eq!((series.start, series.step, series.end()), (600, 60, 1020));
    assert_eq!(
        format!("{:?}", series.values),
        "[1.0, 2.5, NaN, NaN, NaN, NaN, 7.0]"
    );
    let query = log.lock().unwrap()[0].clone();
    assert_eq!(
        (&*query["start"], &*query["end"], &*query["step"]),
        ("660", "1020", "60")
    );
}

#[tokio::test]
async fn long_ranges_are_asked_for_in_parts_that_join_without_seam() {
    let (url, log) = serve(Box::new(|query| {
        let number = |name: &str| query[name].parse::<i64>().unwrap();
        let times = (number("start")..=number("end")).step_by(60);
        let samples: Vec<_> = times.map(|time| format!("[{time},\"{time}\"]")).collect();
        json(format!(
            "{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{{\"metric\":{{}},\"values\":[{}]}}]}}}}",
            samples.join(",")
        ))
    }))
    .await;
    let series = fetch_from(&url, 0, 60 * 25_000, 60).await.unwrap();
    assert_eq!(series.values.len(), 25_000);
    assert!(
        series
            .values
            .iter()
            .enumerate()
            .all(|(i, value)| *value == (i as f64 + 1.0) * 60.0)
    );
    let points: Vec<i64> = log
        .lock()
        .unwrap()
        .iter()
        .map(|query| {
            let number = |name: &str| query[name].parse::<i64>().unwrap();
            (number("end") - number("start")) / 60 + 1
        })
        .collect();
    assert_eq!(points, [10_000, 10_000, 5_000]);
}

#[tokio::test]
async fn every_wrong_answer_has_an_error_of_its_own() {
    let cases: Vec<(&str, Box<Answer>)> = vec![
        ("none", Box::new(|_| json(matrix(&[])))),
        (
            "only NaN",
            Box::new(|_| json(matrix(&[("{}", &[(60, "NaN")])]))),
        ),
        (
            "two series",
            Box::new(|_| {
                json(matrix(&[
                    ("{\"__name__\":\"load\",\"shard\":\"-80\"}", &[(60, "1")]),
                    ("{\"__name__\":\"load\",\"shard\":\"80-\"}", &[(60, "2")]),
                ]))
            }),
        ),
        (
            "scalar",
            Box::new(|_| {
                json(r#"{"status":"success","data":{"resultType":"scalar","result":[60,"1"]}}"#)
            }),
        ),
        (
            "histogram",
            Box::new(|_| {
                json(
                    r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"histograms":[]}]}}"#,
                )
            }),
        ),
        (
            "refused",
            Box::new(|_| {
                Reply::Http(
                    400,
                    "application/json",
                    r#"{"status":"error","errorType":"bad_data","error":"parse error: unexpected end of input"}"#.into(),
                )
            }),
        ),
        (
            "html",
            Box::new(|_| Reply::Http(200, "text/html", "<html>\n <title>Sign in</title>".into())),
        ),
        (
            "bad gateway",
            Box::new(|_| Reply::Http(502, "text/plain", "upstream\x1b[31m is gone".into())),
        ),
        (
            "not found",
            Box::new(|_| Reply::Http(404, "text/plain", "404 page not found".into())),
        ),
        ("other json", Box::new(|_| json(r#"{"hello":1}"#))),
        (
            "no number",
            Box::new(|_| json(matrix(&[("{}", &[(60, "high")])]))),
        ),
        (
            "flood",
            Box::new(|_| json(" ".repeat(ANSWER_BYTES_MAX + 1))),
        ),
    ];
    let mut report = String::new();
    for (name, answer) in cases {
        let (url, _) = serve(answer).await;
        let error = fetch_from(&url, 0, 600, 60).await.expect_err(name);
        report.push_str(&format!(
            "{name}: {}\n",
            error.to_string().replace(&url, "URL")
        ));
    }
    insta::assert_snapshot!(report);
}

#[tokio::test]
async fn another_series_in_a_later_part_is_refused() {
    let (url, _) = serve(Box::new(|query| {
        let labels = if query["start"] == "60" {
            r#"{"shard":"-80"}"#
        } else {
            r#"{"shard":"80-"}"#
        };
        json(matrix(&[(labels, &[(60, "1")])]))
    }))
    .await;
    let error = fetch_from(&url, 0, 60 * 10_001, 60).await.unwrap_err();
    assert!(
        matches!(error, SourceError::SeriesChanged { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_is_slow_breaks_off_or_is_not_there() {
    let (url, _) = serve(Box::new(|_| Reply::Silent)).await;
    let source = Source::new(&url, Duration::from_millis(200)).unwrap();
    let query = RangeQuery {
        promql: "load".to_owned(),
        from: 0,
        to: 600,
        step: 60,
    };
    let error = source.fetch(&query, &mut |_, _| {}).await.unwrap_err();
    assert_eq!(
        error,
        SourceError::TimedOut {
            url: url.clone(),
            seconds: 0.2
        }
    );

    let (url, _) = serve(Box::new(|_| Reply::Broken)).await;
    let error = fetch_from(&url, 0, 600, 60).await.unwrap_err();
    assert!(matches!(error, SourceError::Interrupted { .. }), "{error}");

    // A port that was just free: nothing listens there.
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let error = fetch_from(&format!("http://{free}"), 0, 600, 60)
        .await
        .unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn senseless_queries_are_refused_before_anything_is_sent() {
    let ask = async |from, to, step| {
        fetch_from("http://127.0.0.1:1", from, to, step)
            .await
            .unwrap_err()
    };
    assert!(matches!(ask(0, 600, 0).await, SourceError::Step { .. }));
    assert!(matches!(ask(600, 0, 60).await, SourceError::Range { .. }));
    assert!(matches!(ask(0, 59, 60).await, SourceError::Range { .. }));
    assert!(matches!(
        ask(0, 1 << 40, 1).await,
        SourceError::TooLong { .. }
    ));
    for url in ["", "127.0.0.1:9090", "ftp://example.com", "http://"] {
        let error = Source::new(url, Duration::from_secs(1)).err().unwrap();
        assert!(matches!(error, SourceError::Url { .. }), "{url}: {error}");
    }
}

#[test]
fn passwords_stay_out_of_messages() {
    let source = Source::new(
        "http://me:secret@127.0.0.1:9090/prom/",
        Duration::from_secs(1),
    )
    .unwrap();
    assert_eq!(source.url, "http://127.0.0.1:9090/prom");
}
