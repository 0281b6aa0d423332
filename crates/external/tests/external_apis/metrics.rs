//! The API server's side: the aggregation layer with its certificate, speaking for others.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use foreshard_external::{
    Answers, Caller, Denied, FrontProxy, Judge, METRIC, MetricsApi, Reason, serve_metrics,
};
use foreshard_listener::{ClientAuthority, Tls, listen};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    FakeAdvice,
    pki::{Authority, Files, Pair, connect},
};

const PATH: &str = "/apis/external.metrics.k8s.io/v1beta1";

/// Lets the group `readers` read in `shop`, and does not know about `unknown`.
struct FakeJudge;

impl Judge for FakeJudge {
    fn may_read<'a>(
        &'a self,
        who: &'a Caller,
        namespace: &'a str,
        metric: &'a str,
    ) -> BoxFuture<'a, Result<(), Denied>> {
        let answer = match namespace {
            "unknown" => Err(Denied::Unavailable("the judge is away".to_owned())),
            "shop" if who.groups.iter().any(|it| it == "readers") => Ok(()),
            _ => Err(Denied::Forbidden(format!(
                "{} may not read {metric}",
                who.user
            ))),
        };
        Box::pin(async { answer })
    }
}

/// An API that serves.
struct Serving {
    address: SocketAddr,
    server: Authority,
    advice: Arc<FakeAdvice>,
    known: watch::Sender<Option<Arc<FrontProxy>>>,
    trusted: Arc<ClientAuthority>,
    _stop: DropGuard,
}

async fn serve() -> Serving {
    let server = Authority::new();
    let files = Files::new(&server.sign("metrics"));
    let trusted = ClientAuthority::unknown();
    let tls = Tls::load_for_clients(
        files.path("tls.crt"),
        files.path("tls.key"),
        Arc::clone(&trusted),
    )
    .unwrap();
    let (known, receiver) = watch::channel(None);
    let (advice, stop) = (FakeAdvice::new(), CancellationToken::new());
    let api = MetricsApi::new(
        Arc::clone(&advice) as _,
        Arc::new(FakeJudge),
        receiver,
        Answers::default(),
    );
    let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_metrics(
        listener,
        tls,
        api,
        stop.clone().cancelled_owned(),
    ));
    Serving {
        address,
        server,
        advice,
        known,
        trusted,
        _stop: stop.drop_guard(),
    }
}

impl Serving {
    /// As the ConfigMap says it.
    fn know(&self, authority: &Authority, allowed_names: &str) {
        let data = [
            ("requestheader-client-ca-file", authority.pem.as_str()),
            ("requestheader-allowed-names", allowed_names),
            ("requestheader-username-headers", r#"["X-Remote-User"]"#),
            ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
            (
                "requestheader-extra-headers-prefix",
                r#"["X-Remote-Extra-"]"#,
            ),
        ];
        let data: BTreeMap<_, _> = data
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let read = FrontProxy::read(&data).unwrap();
        self.trusted.trust(read.authority_pem.as_bytes()).unwrap();
        self.known.send_replace(Some(Arc::new(read)));
    }

    /// None: the connection came to nothing.
    async fn ask(&self, shown: Option<&Pair>, path: &str, headers: &str) -> Option<(u16, Value)> {
        let stream = connect(self.address, &self.server.pem, shown, "http/1.1").await;
        let mut stream = stream.ok()?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let code = answer.split(' ').nth(1)?.parse().ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some((code, serde_json::from_str(body).unwrap()))
    }
}

const READER: &str =
    "X-Remote-User: hpa\r\nX-Remote-Group: system:authenticated\r\nX-Remote-Group: readers\r\n";

#[tokio::test]
async fn the_aggregation_layer_reads_for_those_who_may() {
    let (serving, front) = (serve().await, Authority::new());
    serving.advice.set("shop", "web", Ok(7));
    let proxy = front.sign("front-proxy-client");
    let metric = format!("{PATH}/namespaces/shop/{METRIC}?labelSelector=policy%3Dweb");
    assert_eq!(
        serving.ask(Some(&proxy), &metric, READER).await,
        None,
        "nobody is let in while it is not known who may come"
    );
    serving.know(&front, r#"["front-proxy-client"]"#);
    let (code, list) = serving.ask(Some(&proxy), &metric, READER).await.unwrap();
    assert_eq!(code, 200);
    let expected = json!({
        "kind": "ExternalMetricValueList",
        "apiVersion": "external.metrics.k8s.io/v1beta1",
        "metadata": {},
        "items": [{
            "metricName": METRIC,
            "metricLabels": {"policy": "web"},
            "timestamp": "2023-11-14T22:13:20Z",
            "value": "7",
        }],
    });
    assert_eq!(list, expected);
    let (code, resources) = serving.ask(Some(&proxy), PATH, READER).await.unwrap();
    assert_eq!((code, &resources["kind"]), (200, &json!("APIResourceList")));
    assert_eq!(resources["resources"][0]["name"], METRIC);
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let (serving, front, other) = (serve().await, Authority::new(), Authority::new());
    serving.advice.set("shop", "web", Ok(7));
    serving.know(&front, r#"["front-proxy-client"]"#);
    let metric = format!("{PATH}/namespaces/shop/{METRIC}?labelSelector=policy%3Dweb");
    let forged = other.sign("front-proxy-client");
    for shown in [None, Some(&forged)] {
        assert_eq!(serving.ask(shown, &metric, READER).await, None);
    }
    // Signed by the right authority, but for something else.
    let kubelet = front.sign("kubelet");
    let answer = serving.ask(Some(&kubelet), &metric, READER).await.unwrap();
    assert_eq!(answer.0, 401, "{}", answer.1);
    serving.know(&front, "[]");
    let answer = serving.ask(Some(&kubelet), &metric, READER).await.unwrap();
    assert_eq!(answer.0, 200, "any name, where none is prescribed");
    let answer = serving.ask(Some(&kubelet), &metric, "").await.unwrap();
    assert_eq!(answer.0, 401, "for nobody: {}", answer.1);
    // A new authority, and certificates of the old one are over.
    serving.know(&other, r#"["front-proxy-client"]"#);
    assert_eq!(serving.ask(Some(&kubelet), &metric, READER).await, None);
    let answer = serving.ask(Some(&forged), &metric, READER).await.unwrap();
    assert_eq!(answer.0, 200);
}

#[tokio::test]
async fn what_is_withheld_is_an_error_and_never_a_number() {
    let (serving, front) = (serve().await, Authority::new());
    serving.know(&front, "[]");
    serving.advice.set("shop", "web", Ok(7));
    serving.advice.set("shop", "late", Err(Reason::Stale));
    let proxy = front.sign("front-proxy-client");
    let stranger = "X-Remote-User: eve\r\nX-Remote-Group: system:authenticated\r\n";
    for (path, headers, code, message) in [
        (
            "namespaces/shop/METRIC?labelSelector=policy%3Dlate",
            READER,
            503,
            "scalingpolicy shop/late: withheld by Stale",
        ),
        (
            "namespaces/shop/METRIC?labelSelector=policy%3Dnone",
            READER,
            404,
            "scalingpolicy shop/none: withheld by NoPolicy",
        ),
        (
            "namespaces/shop/METRIC",
            READER,
            400,
            "the metric's selector must name one ScalingPolicy of this namespace and nothing else: matchLabels: {policy: NAME}",
        ),
        (
            "namespaces/shop/cpu?labelSelector=policy%3Dweb",
            READER,
            404,
            "the only metric is foreshard-recommended-replicas",
        ),
        (
            "namespaces/shop/METRIC?labelSelector=policy%3Dweb",
            stranger,
            403,
            "eve may not read foreshard-recommended-replicas",
        ),
        (
            "namespaces/unknown/METRIC?labelSelector=policy%3Dweb",
            READER,
            503,
            "the judge is away",
        ),
        (
            "pods",
            READER,
            404,
            "only external.metrics.k8s.io/v1beta1 is served",
        ),
    ] {
        let path = format!("{PATH}/{}", path.replace("METRIC", METRIC));
        let (seen, status) = serving.ask(Some(&proxy), &path, headers).await.unwrap();
        assert_eq!(seen, code, "{path}: {status}");
        assert_eq!(status["kind"], "Status", "{path}");
        assert_eq!(status["code"], code, "{path}");
        assert_eq!(status["message"], message, "{path}");
    }
}

#[test]
fn the_config_map_is_read_or_refused() {
    let good = [
        ("requestheader-client-ca-file", "PEM"),
        ("requestheader-username-headers", r#"["X-Remote-User"]"#),
    ];
    for (change, expected) in [
        (None, Ok(())),
        (
            Some(("requestheader-client-ca-file", " ")),
            Err(
                "requestheader-client-ca-file is missing: the API server runs without its --requestheader flags, and cannot pass requests on",
            ),
        ),
        (
            Some(("requestheader-username-headers", "[]")),
            Err(
                "requestheader-username-headers is missing: the API server runs without its --requestheader flags, and cannot pass requests on",
            ),
        ),
        (
            Some(("requestheader-allowed-names", "front-proxy-client")),
            Err("requestheader-allowed-names is no list of names in JSON"),
        ),
        (
            Some(("requestheader-group-headers", r#"["a b"]"#)),
            Err("requestheader-group-headers is no list of names of headers in JSON"),
        ),
    ] {
        let data: BTreeMap<_, _> = good
            .into_iter()
            .chain(change)
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let read = FrontProxy::read(&data).map(drop);
        let read = read.map_err(|error| error.to_string());
        assert_eq!(read, expected.map_err(str::to_owned), "{change:?}");
    }
}
