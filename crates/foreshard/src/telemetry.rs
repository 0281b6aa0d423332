//! Logs on standard error, and traces to whoever collects them.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// How logs look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line, for programs that collect logs.
    Json,
}

/// What is logged, and where traces go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Telemetry<'a> {
    /// What is logged where `RUST_LOG` says nothing.
    pub(crate) usual: &'a str,
    pub(crate) format: LogFormat,
    /// Base address of a collector of OpenTelemetry, such as `http://collector:4318`.
    pub(crate) otlp_endpoint: Option<&'a str>,
}

/// Sends what is left when it ends.
#[derive(Debug)]
pub(crate) struct Guard(Option<SdkTracerProvider>);

/// Spans that a collector gets at most this long after the end.
const FLUSH: Duration = Duration::from_secs(3);
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is logged: what was asked for, else the usual. Who changed what is logged whatever was asked for.
fn filter(asked: Option<String>, usual: &str) -> EnvFilter {
    let asked = asked.filter(|it| !it.trim().is_empty());
    let filter = asked.and_then(|it| EnvFilter::try_new(it).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new(usual));
    match "foreshard::audit=info".parse() {
        Ok(audit) => filter.add_directive(audit),
        Err(_) => filter,
    }
}

/// Begins; not on standard output, which belongs to results. Before any runtime: the exporter has a thread of its own.
pub(crate) fn start(telemetry: Telemetry) -> anyhow::Result<Guard> {
    let filter = filter(std::env::var(EnvFilter::DEFAULT_ENV).ok(), telemetry.usual);
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match telemetry.format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let provider = telemetry.otlp_endpoint.map(provider).transpose()?;
    let traces = provider.as_ref().map(|provider| {
        let tracer = provider.tracer("foreshard");
        // The exporter's own requests are not traced.
        let ours = Targets::new()
            .with_target("foreshard", tracing::Level::DEBUG)
            .with_target("tower_http", tracing::Level::DEBUG);
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_filter(ours)
    });
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(traces)
        .init();
    Ok(Guard(provider))
}

fn provider(endpoint: &str) -> anyhow::Result<SdkTracerProvider> {
    let url = endpoint.trim_end_matches('/');
    let known = url.starts_with("http://") || url.starts_with("https://");
    anyhow::ensure!(
        known,
        "--otlp-endpoint {endpoint:?}: it must be http://HOST:PORT or https://HOST:PORT, such as \
         http://otel-collector:4318 (OTLP over HTTP)"
    );
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{url}/v1/traces"))
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .with_context(|| format!("--otlp-endpoint {endpoint:?}"))?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    // `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` come after it and win.
    let resource = Resource::builder().with_attribute(version);
    let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => resource,
        None => resource.with_service_name("foreshard"),
    };
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build())
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown_with_timeout(FLUSH)
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use opentelemetry::trace::{Span as _, Tracer as _};

    use super::*;

    #[test]
    fn the_audit_log_cannot_be_turned_off() {
        let of = |asked: Option<&str>| filter(asked.map(str::to_owned), "warn").to_string();
        for asked in [
            None,
            Some(""),
            Some("foreshard_operator=debug"),
            Some("off"),
            Some("=,"),
        ] {
            let text = of(asked);
            assert!(text.contains("foreshard::audit=info"), "{asked:?}: {text}");
        }
        assert!(of(Some("foreshard_operator=debug")).contains("foreshard_operator=debug"));
        assert!(of(None).contains("warn"));
    }

    #[test]
    fn spans_go_out_by_otlp_over_http() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let collector = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(EXPORT_TIMEOUT)).unwrap();
            let mut seen = Vec::new();
            let mut chunk = [0; 4_096];
            // The name of the span is near the end of the body.
            while !String::from_utf8_lossy(&seen).contains("a pass of web") {
                let count = stream.read(&mut chunk).unwrap();
                assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
                seen.extend_from_slice(chunk.get(..count).unwrap());
            }
            let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&seen).into_owned()
        });
        let provider = provider(&format!("http://{address}/")).unwrap();
        provider.tracer("test").start("a pass of web").end();
        drop(Guard(Some(provider)));
        let request = collector.join().unwrap();
        assert!(
            request.starts_with("POST /v1/traces HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(request.contains("service.name"), "{request}");
    }

    #[test]
    fn an_endpoint_without_scheme_is_refused_with_the_fix() {
        let error = provider("otel-collector:4317").unwrap_err().to_string();
        assert!(
            error.contains("such as http://otel-collector:4318"),
            "{error}"
        );
    }
}
