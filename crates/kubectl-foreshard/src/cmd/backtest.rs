//! `kubectl foreshard backtest`.

mod command;
mod forward;
mod service;

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, bail};
use foreshard_api::v1alpha1::{PrometheusSource, ScalingPolicy, SourceKind};
use foreshard_cli::{output, time};
use k8s_openapi::api::core::v1::Service;
use kube::Api;

use crate::cluster::{Cluster, ClusterArgs};
use crate::print::{Format, note};
use crate::trouble::Asked;
use crate::{clock, found};
use command::Choices;
use service::ServiceUrl;

const EXAMPLES: &str = "\
What is run:
  `foreshard backtest --prometheus …` with what the policy says: the query, the capacity of a replica \
(targetAverageValue / 0.7), the delay from an order to its effect, the budget, the time zone and the decider. Where the \
source is a service of the cluster, `kubectl port-forward` is kept up meanwhile.

Examples:
  The last two weeks, as this policy would have handled them:
    kubectl foreshard backtest web -n shop --last 14d
  What would be run:
    kubectl foreshard backtest web -n shop --print
  A server that you reach otherwise:
    kubectl foreshard backtest web -n shop --prometheus http://127.0.0.1:9090";

/// Replay a policy on the history of its own Prometheus: harm and cost beside those of other autoscalers.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The policy.
    #[arg(value_name = "POLICY")]
    policy: String,
    /// The span until now, unless --from and --to say otherwise.
    #[arg(long, value_name = "SPAN", value_parser = time::span, default_value = "14d", conflicts_with_all = ["from", "to"])]
    last: i64,
    /// Where the load begins: RFC 3339, or a date in UTC.
    #[arg(long, value_name = "TIME", value_parser = time::moment, requires = "to")]
    from: Option<i64>,
    /// Where it ends.
    #[arg(long, value_name = "TIME", value_parser = time::moment, requires = "from")]
    to: Option<i64>,
    /// The signal that is the load [default: the first].
    #[arg(long, value_name = "NAME")]
    signal: Option<String>,
    /// The Prometheus as it is reached from here; no port is forwarded then.
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// The component's file, where a module that is not built in decides.
    #[arg(long, value_name = "FILE.wasm")]
    module: Option<PathBuf>,
    /// Print the commands, and run nothing.
    #[arg(long)]
    print: bool,
}

/// How the Prometheus is reached.
enum Way {
    Direct(String),
    Forwarded(ServiceUrl),
}

pub(crate) async fn run(
    args: &Args,
    flags: &ClusterArgs,
    format: Format,
) -> anyhow::Result<ExitCode> {
    if format == Format::Yaml {
        crate::usage("a backtest is printed as table or json");
    }
    let cluster = flags.connect().await?;
    let policy = found::policy(&cluster, &args.policy).await?;
    let (from, to) = match (args.from, args.to) {
        (Some(from), Some(to)) => (from, to),
        // Whole minutes: the same samples whenever it is run within one.
        _ => {
            let now = clock::now() / 60 * 60;
            (now.saturating_sub(args.last), now)
        }
    };
    let choices = Choices {
        from,
        to,
        signal: args.signal.as_deref(),
        module: args.module.as_deref(),
        json: format == Format::Json,
    };
    let command = command::of(&policy, &choices)?;
    for text in &command.notes {
        note(&format!("note: {text}"));
    }
    let way = way(args, &cluster, &policy, &command.signal).await?;
    if args.print {
        let text = match way {
            Way::Direct(url) => command.shell(&url),
            Way::Forwarded(service) => {
                let forward = forward::shell(&service, &flags.for_kubectl());
                format!(
                    "{forward}\n{}",
                    command.shell(&service.local(forward::PRINTED_PORT))
                )
            }
        };
        output::text(&(text + "\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let program = program()?;
    let (url, _forwarding) = match way {
        Way::Direct(url) => (url, None),
        Way::Forwarded(service) => {
            let forwarding = forward::start(&service, &flags.for_kubectl()).await?;
            (service.local(forwarding.port), Some(forwarding))
        }
    };
    let status = tokio::process::Command::new(&program)
        .args(command.args(&url))
        .stdin(Stdio::null())
        .status()
        .await
        .with_context(|| format!("running {}", program.display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// How the source of a signal is reached from here.
async fn way(
    args: &Args,
    cluster: &Cluster,
    policy: &ScalingPolicy,
    signal: &str,
) -> anyhow::Result<Way> {
    if let Some(url) = &args.prometheus {
        return Ok(Way::Direct(url.clone()));
    }
    let signals = &policy.spec.signals;
    let found = signals.iter().find(|it| it.name == signal);
    let source = &found.context("the signal is gone")?.source_ref;
    let name = &source.name;
    if source.kind == SourceKind::OperatorSource {
        bail!(
            "signal {signal} asks the operator's own source {name}, whose address only the operator knows: give \
             --prometheus, as you reach it"
        );
    }
    let sources = cluster.all::<PrometheusSource>();
    let asked = Asked::one("get", "prometheussources", name, &cluster.namespace);
    let spec = cluster.ask(asked, sources.get(name)).await?.spec;
    if spec.authentication.is_some() || spec.tls.is_some() || !spec.headers.is_empty() {
        bail!(
            "PrometheusSource {name} has credentials, TLS settings or headers, which `foreshard backtest` does not \
             send: give --prometheus with an address that needs none"
        );
    }
    let Some(service) = ServiceUrl::parse(&spec.url) else {
        return Ok(Way::Direct(spec.url));
    };
    if service.certain || exists(cluster, &service).await {
        return Ok(Way::Forwarded(service));
    }
    Ok(Way::Direct(spec.url))
}

/// Whether there is such a service. Where that may not be asked the address is taken as it is.
async fn exists(cluster: &Cluster, service: &ServiceUrl) -> bool {
    let all: Api<Service> = Api::namespaced(cluster.client.clone(), &service.namespace);
    let asked = Asked::one("get", "services", &service.name, &service.namespace);
    cluster.ask(asked, all.get(&service.name)).await.is_ok()
}

/// The binary beside this one, or on the PATH.
fn program() -> anyhow::Result<PathBuf> {
    let name = format!("foreshard{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok();
    let beside = beside.and_then(|it| it.parent().map(PathBuf::from));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = beside.into_iter().chain(std::env::split_paths(&path));
    let mut files = folders.map(|folder| folder.join(&name));
    files.find(|file| file.is_file()).context(
        "there is no program `foreshard` beside this one or on the PATH: install it, or see what would be run with --print",
    )
}
