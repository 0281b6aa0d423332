//! KEDA's side: a client of the same protocol, over TLS.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use foreshard_external::{
    AnswerLabels, Answers, METRIC, Reason, STREAMS_MAX, Scaler, serve_scaler,
};
use foreshard_listener::{Tls, listen};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint, Uri},
};

use super::{
    FakeAdvice,
    pki::{Authority, Files, Pair, connect},
};
use crate::wire::{
    GetMetricsRequest, ScaledObjectRef, external_scaler_client::ExternalScalerClient,
};

const LIMIT: Duration = Duration::from_secs(10);

/// A scaler that serves.
struct Serving {
    address: SocketAddr,
    advice: Arc<FakeAdvice>,
    answers: Answers,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn serve(tls: Option<Arc<Tls>>) -> Serving {
    let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (advice, answers, stop) = (
        FakeAdvice::new(),
        Answers::default(),
        CancellationToken::new(),
    );
    let scaler = Scaler::new(Arc::clone(&advice) as _, answers.clone(), stop.clone());
    let task = tokio::spawn(serve_scaler(
        listener,
        tls,
        scaler,
        stop.clone().cancelled_owned(),
    ));
    Serving {
        address,
        advice,
        answers,
        stop,
        task,
    }
}

async fn client(
    address: SocketAddr,
    trusted: &str,
    shown: Option<&Pair>,
) -> Result<ExternalScalerClient<Channel>, tonic::transport::Error> {
    let shown = shown.map(|pair| Pair {
        certificate: pair.certificate.clone(),
        key: pair.key.clone(),
    });
    let (trusted, shown) = (trusted.to_owned(), Arc::new(shown));
    let connector = tower::service_fn(move |_: Uri| {
        let (trusted, shown) = (trusted.clone(), Arc::clone(&shown));
        async move {
            let stream = connect(address, &trusted, shown.as_ref().as_ref(), "h2").await?;
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        }
    });
    let endpoint = Endpoint::from_static("http://localhost").timeout(LIMIT);
    Ok(ExternalScalerClient::new(
        endpoint.connect_with_connector(connector).await?,
    ))
}

/// Over plain HTTP/2.
async fn plain() -> (Serving, ExternalScalerClient<Channel>) {
    let serving = serve(None).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", serving.address)).unwrap();
    let channel = endpoint.timeout(LIMIT).connect().await.unwrap();
    (serving, ExternalScalerClient::new(channel))
}

fn object(namespace: &str, metadata: &[(&str, &str)]) -> ScaledObjectRef {
    let metadata = metadata
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    ScaledObjectRef {
        name: "web".to_owned(),
        namespace: namespace.to_owned(),
        scaler_metadata: metadata.collect::<BTreeMap<_, _>>(),
    }
}

async fn value(
    client: &mut ExternalScalerClient<Channel>,
    of: ScaledObjectRef,
) -> Result<f64, Status> {
    let request = GetMetricsRequest {
        scaled_object_ref: Some(of),
        metric_name: METRIC.to_owned(),
    };
    let answer = client.get_metrics(request).await?.into_inner();
    let [value] = answer.metric_values.as_slice() else {
        panic!("{answer:?}");
    };
    assert_eq!(value.metric_name, METRIC);
    assert_eq!(value.metric_value as f64, value.metric_value_float);
    Ok(value.metric_value_float)
}

#[tokio::test]
async fn a_recommendation_comes_over_tls_to_those_who_trust_it() {
    let authority = Authority::new();
    let files = Files::new(&authority.sign("scaler"));
    let tls = Tls::load(files.path("tls.crt"), files.path("tls.key")).unwrap();
    let serving = serve(Some(tls)).await;
    serving.advice.set("shop", "web", Ok(7));
    let mut client = client(serving.address, &authority.pem, None).await.unwrap();
    let of = || object("shop", &[("policy", "web"), ("scalerAddress", "x:1")]);
    assert_eq!(value(&mut client, of()).await.unwrap(), 7.0);
    assert!(client.is_active(of()).await.unwrap().into_inner().result);
    let spec = client.get_metric_spec(of()).await.unwrap().into_inner();
    let [spec] = spec.metric_specs.as_slice() else {
        panic!("{spec:?}");
    };
    assert_eq!(
        (spec.metric_name.as_str(), spec.target_size_float),
        (METRIC, 1.0)
    );
    let stranger = Authority::new();
    assert!(
        super::grpc::client(serving.address, &stranger.pem, None)
            .await
            .is_err()
    );
    let served = AnswerLabels {
        api: "keda",
        outcome: "served",
    };
    assert_eq!(serving.answers.0.get_or_create(&served).get(), 2);
}

#[tokio::test]
async fn with_an_authority_of_clients_only_these_are_let_in() {
    let (authority, clients, other) = (Authority::new(), Authority::new(), Authority::new());
    let files = Files::new(&authority.sign("scaler"));
    files.write("clients.crt", &clients.pem);
    let tls = Tls::load_for_clients_of(
        files.path("tls.crt"),
        files.path("tls.key"),
        files.path("clients.crt"),
    )
    .unwrap();
    let serving = serve(Some(Arc::clone(&tls))).await;
    serving.advice.set("shop", "web", Ok(7));
    let (good, bad) = (clients.sign("keda"), other.sign("keda"));
    let asked = async |pair: Option<&Pair>| {
        let client = client(serving.address, &authority.pem, pair).await;
        let mut client = client.map_err(|error| error.to_string())?;
        let of = object("shop", &[("policy", "web")]);
        value(&mut client, of)
            .await
            .map_err(|status| status.to_string())
    };
    assert_eq!(asked(Some(&good)).await, Ok(7.0));
    assert!(asked(Some(&bad)).await.is_err());
    assert!(asked(None).await.is_err());
    // Another authority in the file, and the other client is the one that is let in.
    files.write("clients.crt", &other.pem);
    assert!(tls.reload().unwrap() && !tls.reload().unwrap());
    assert_eq!(asked(Some(&bad)).await, Ok(7.0));
    assert!(asked(Some(&good)).await.is_err());
    files.write("clients.crt", "none");
    assert!(tls.reload().is_err());
    assert_eq!(asked(Some(&bad)).await, Ok(7.0), "the old one stays");
}

#[tokio::test]
async fn what_is_withheld_is_an_error_that_says_why_and_never_a_number() {
    let (serving, mut client) = plain().await;
    let of = || object("shop", &[("policy", "web")]);
    for (reason, code) in [
        (Reason::NoPolicy, Code::NotFound),
        (Reason::Starting, Code::Unavailable),
        (Reason::NotReady, Code::Unavailable),
        (Reason::Stale, Code::Unavailable),
        (Reason::KillSwitch, Code::FailedPrecondition),
        (Reason::Paused, Code::FailedPrecondition),
        (Reason::ActsItself, Code::FailedPrecondition),
    ] {
        serving.advice.set("shop", "web", Err(reason));
        for status in [
            value(&mut client, of()).await.unwrap_err(),
            client.is_active(of()).await.unwrap_err(),
        ] {
            assert_eq!(status.code(), code, "{status}");
            let expected = format!("scalingpolicy shop/web: withheld by {}", reason.name());
            assert_eq!(status.message(), expected);
        }
        // An autoscaler without a metric would take the CPU instead.
        let spec = client.get_metric_spec(of()).await.unwrap().into_inner();
        assert_eq!(spec.metric_specs.len(), 1, "{}", reason.name());
    }
    serving.advice.set("shop", "web", Ok(0));
    assert_eq!(value(&mut client, of()).await.unwrap(), 0.0);
    assert!(!client.is_active(of()).await.unwrap().into_inner().result);
}

#[tokio::test]
async fn a_trigger_names_a_policy_of_its_own_namespace() {
    let (serving, mut client) = plain().await;
    serving.advice.set("shop", "web", Ok(7));
    let long = "a".repeat(254);
    for (namespace, metadata, expected) in [
        ("shop", &[("policy", "web")][..], Ok(7.0)),
        ("shop", &[("policy", "web"), ("namespace", "shop")], Ok(7.0)),
        (
            "evil",
            &[("policy", "web"), ("namespace", "shop")],
            Err(Code::PermissionDenied),
        ),
        ("evil", &[("policy", "web")], Err(Code::NotFound)),
        ("shop", &[], Err(Code::InvalidArgument)),
        ("shop", &[("policy", "")], Err(Code::InvalidArgument)),
        ("shop", &[("policy", "we\nb")], Err(Code::InvalidArgument)),
        ("shop", &[("policy", &long)], Err(Code::InvalidArgument)),
        ("", &[("policy", "web")], Err(Code::InvalidArgument)),
    ] {
        let answer = value(&mut client, object(namespace, metadata)).await;
        let answer = answer.map_err(|status| status.code());
        assert_eq!(answer, expected, "{namespace:?} {metadata:?}");
    }
    let other = GetMetricsRequest {
        scaled_object_ref: Some(object("shop", &[("policy", "web")])),
        metric_name: "cpu".to_owned(),
    };
    let status = client.get_metrics(other).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let large = "a".repeat(65 << 10);
    let status = value(&mut client, object("shop", &[("policy", &large)])).await;
    assert_eq!(status.unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test]
async fn a_stream_tells_changes_waits_while_nothing_is_known_and_ends_with_the_server() {
    let (serving, mut client) = plain().await;
    let of = || object("shop", &[("policy", "web")]);
    let status = client.stream_is_active(of()).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "a name that is wrong");
    serving.advice.set("shop", "web", Err(Reason::NotReady));
    // Until something is known there is nothing to tell, not even that it is inactive.
    let opening = tokio::spawn({
        let mut client = client.clone();
        async move { client.stream_is_active(of()).await }
    });
    serving.advice.set("shop", "web", Ok(3));
    let mut stream = opening.await.unwrap().unwrap().into_inner();
    let mut next = async || {
        let next = tokio::time::timeout(LIMIT, stream.next()).await.unwrap();
        next.map(|answer| answer.unwrap().result)
    };
    assert_eq!(next().await, Some(true));
    serving.advice.set("shop", "web", Ok(4));
    serving.advice.set("shop", "web", Err(Reason::Stale));
    serving.advice.set("shop", "web", Ok(0));
    assert_eq!(next().await, Some(false));
    serving.advice.set("shop", "web", Ok(1));
    assert_eq!(next().await, Some(true));

    serving.stop.cancel();
    assert_eq!(next().await, None);
    drop(client);
    tokio::time::timeout(LIMIT, serving.task)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn there_are_only_so_many_streams_and_none_keeps_a_request_waiting() {
    let (serving, mut client) = plain().await;
    let of = || object("shop", &[("policy", "web")]);
    serving.advice.set("shop", "web", Ok(3));
    let mut streams = Vec::new();
    for _ in 0..STREAMS_MAX {
        streams.push(client.stream_is_active(of()).await.unwrap());
    }
    let status = client.stream_is_active(of()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(value(&mut client, of()).await.unwrap(), 3.0);
}
