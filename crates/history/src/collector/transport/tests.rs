//! What goes over the wire, against a server on loopback that keeps what it was sent.

use std::sync::Mutex;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::super::config::ClientCertificate;
use super::super::fault::FaultKind;
use super::super::secret::Secret;
use super::*;

const EMPTY: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;

/// A server that answers each request with the head and body that `answer` makes of its first line; it keeps requests
/// whole.
async fn serve(
    answer: impl Fn(&str) -> (String, String) + Send + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&log);
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let mut socket = BufReader::new(socket);
            let mut request = String::new();
            while !request.ends_with("\r\n\r\n") {
                socket.read_line(&mut request).await.unwrap();
            }
            let length = request
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            socket.read_exact(&mut body).await.unwrap();
            let (head, text) = answer(request.lines().next().unwrap());
            seen.lock()
                .unwrap()
                .push(request + &String::from_utf8(body).unwrap());
            let length = text.len();
            let head =
                format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            // The client may hang up on an answer that is too large.
            let _ = socket.write_all((head + &text).as_bytes()).await;
        }
    });
    (url, log)
}

fn instant(promql: &str) -> Ask {
    Ask {
        promql: promql.to_owned(),
        when: When::Now,
        series_max: 2,
    }
}

fn with(url: &str, change: impl FnOnce(&mut SourceConfig)) -> Result<Http, ConfigError> {
    let mut config = SourceConfig::new(url);
    change(&mut config);
    Http::new(&config)
}

#[tokio::test]
async fn credentials_and_headers_go_with_every_request() {
    let (url, log) = serve(|_| ("200 OK".into(), EMPTY.into())).await;
    let bearer = with(&format!("{url}/prometheus/"), |config| {
        config.auth = Auth::Bearer(Secret::new("tok\n"));
        config.headers = vec![("X-Scope-OrgID".to_owned(), Secret::new("shop"))];
    })
    .unwrap();
    bearer.ask(instant("sum(x)")).await.unwrap();
    let basic = with(&url, |config| {
        config.auth = Auth::Basic {
            user: "me".to_owned(),
            password: Secret::new("pass:word"),
        };
    })
    .unwrap();
    // A long query goes by POST.
    let long = format!("sum(x{{app=~\"{}\"}})", "a|".repeat(GET_BYTES_MAX / 2));
    let range = When::Range {
        from: 60,
        to: 120,
        step: 60,
    };
    basic
        .ask(Ask {
            when: range,
            ..instant(&long)
        })
        .await
        .unwrap();
    let log = log.lock().unwrap();
    assert!(
        log[0]
            .starts_with("GET /prometheus/api/v1/query?query=sum%28x%29&timeout=10000ms&limit=2 "),
        "{}",
        log[0]
    );
    assert!(
        log[0].contains("authorization: Bearer tok\r\n"),
        "{}",
        log[0]
    );
    assert!(log[0].contains("x-scope-orgid: shop\r\n"), "{}", log[0]);
    assert!(
        log[1].starts_with("POST /api/v1/query_range "),
        "{}",
        log[1]
    );
    assert!(
        log[1].contains("authorization: Basic bWU6cGFzczp3b3Jk\r\n"),
        "{}",
        log[1]
    );
    assert!(log[1].contains("&start=60&end=120&step=60&"), "{}", log[1]);
}

#[tokio::test]
async fn redirects_lead_nowhere_else() {
    let (elsewhere, stolen) = serve(|_| ("200 OK".into(), EMPTY.into())).await;
    let target = format!("{elsewhere}/login?next=secret-page");
    let (url, log) = serve(move |line| {
        if line.starts_with("GET /far/") {
            (format!("302 Found\r\nlocation: {target}"), String::new())
        } else if line.starts_with("GET /near/") {
            (
                "302 Found\r\nlocation: /prom/api/v1/query?query=x".into(),
                String::new(),
            )
        } else {
            ("200 OK".into(), EMPTY.into())
        }
    })
    .await;
    let token = |config: &mut SourceConfig| config.auth = Auth::Bearer(Secret::new("tok"));
    let near = with(&format!("{url}/near"), token).unwrap();
    assert_eq!(near.ask(instant("x")).await.unwrap().status, 200);
    let far = with(&format!("{url}/far"), token).unwrap();
    let reply = far.ask(instant("x")).await.unwrap();
    assert_eq!(reply.status, 302);
    assert!(reply.location.is_some());
    assert_eq!(stolen.lock().unwrap().len(), 0);
    assert_eq!(log.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn answers_are_bounded_and_broken_ones_are_told() {
    let (url, _) = serve(|_| ("200 OK".into(), "x".repeat(100_000))).await;
    let http = with(&url, |config| config.limits.answer_bytes_max = 99_999).unwrap();
    let fault = http.ask(instant("x")).await.unwrap_err();
    assert_eq!(fault, Fault::AnswerTooLarge { bytes_max: 99_999 });
    let (url, _) = serve(|_| {
        (
            "200 OK\r\ntransfer-encoding: chunked".into(),
            "5\r\nab".into(),
        )
    })
    .await;
    let http = with(&url, |_| {}).unwrap();
    let kind = http.ask(instant("x")).await.unwrap_err().kind();
    assert!(
        matches!(kind, FaultKind::Interrupted | FaultKind::Unreachable),
        "{kind:?}"
    );
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let http = with(&format!("http://{free}"), |_| {}).unwrap();
    let fault = http.ask(instant("sum(private)")).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unreachable);
    // The address of the request holds the query, which is not for everyone.
    assert!(!fault.to_string().contains("private"), "{fault}");
}

#[test]
fn secrets_stay_out_of_messages() {
    let mut config = SourceConfig::new("https://example.com");
    config.auth = Auth::Basic {
        user: "me".to_owned(),
        password: Secret::new("hunter2"),
    };
    config.headers = vec![("X-Scope-OrgID".to_owned(), Secret::new("hunter2"))];
    config.tls.client = Some(ClientCertificate {
        certificate_pem: String::new(),
        key_pem: Secret::new("hunter2"),
    });
    assert!(!format!("{config:?}").contains("hunter2"));
    let error = Http::new(&config).err().unwrap();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

#[test]
fn settings_that_cannot_work_are_refused_by_field() {
    let mut report = String::new();
    type Change = fn(&mut SourceConfig);
    let cases: [(&str, Change); 12] = [
        ("nothing", |config| config.url = String::new()),
        ("no scheme", |config| {
            config.url = "127.0.0.1:9090".to_owned()
        }),
        ("other scheme", |config| {
            config.url = "ftp://example.com".to_owned()
        }),
        ("password", |config| {
            config.url = "https://me:hunter2@example.com".to_owned()
        }),
        ("parameters", |config| {
            config.url = "https://example.com/?a=b".to_owned()
        }),
        ("header name", |config| {
            config.headers = vec![("a b".to_owned(), Secret::new("x"))]
        }),
        ("header value", |config| {
            config.headers = vec![("a".to_owned(), Secret::new("x\ny"))]
        }),
        ("token", |config| {
            config.auth = Auth::Bearer(Secret::new("x\ny"))
        }),
        ("user", |config| {
            config.auth = Auth::Basic {
                user: "a:b".to_owned(),
                password: Secret::new("x"),
            };
        }),
        ("authorities", |config| {
            config.tls.authorities_pem = Some("junk".to_owned())
        }),
        ("server name", |config| {
            config.tls.server_name = Some("a b".to_owned())
        }),
        ("client", |config| {
            config.tls.client = Some(ClientCertificate {
                certificate_pem: "junk".to_owned(),
                key_pem: Secret::new("junk"),
            });
        }),
    ];
    for (name, change) in cases {
        let error = with("https://example.com", change).err().unwrap();
        report.push_str(&format!("{name}: {error}\n"));
    }
    insta::assert_snapshot!(report);
}
