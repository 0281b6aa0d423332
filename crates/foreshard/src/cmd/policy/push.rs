//! `foreshard policy push`.

mod answer;
mod server;
mod trouble;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::ProgressBar;

use super::component;
use crate::output::{self, Format, NOT_GOOD};
use answer::Answer;
use server::Server;

pub(super) const EXAMPLES: &str = "\
How it finds the server:
  --server URL, or FORESHARD_SERVER, goes there directly.
  Without it, the request goes through the Kubernetes API server of your kubeconfig to the service of the operator \
(--service). For that you need the right to `get` and `update` `services/proxy` there.

How it shows who you are:
  The server takes a bearer token that is made for the audience `foreshard`, and asks the cluster whether its user may \
`update policymodules` in the namespace, for a new name also `create`. Your kubeconfig's own credentials are for the \
Kubernetes API alone.
  --service-account NAME has the cluster make such a token, valid for ten minutes, for a service account of the \
namespace; you need the right to `create serviceaccounts/token`.
  --token-file FILE, or FORESHARD_TOKEN, is a token that you have already, such as one that a pod mounts, or that of
    kubectl create token ci --namespace shop --audience foreshard

Examples:
  foreshard policy push spring-sale.wasm --name spring-sale --namespace shop --service-account ci
  foreshard policy push spring-sale.wasm --name spring-sale --server http://127.0.0.1:8080 --namespace demo
  curl -T spring-sale.wasm --header \"authorization: Bearer $(cat token)\" \\
    https://foreshard.example.com/api/v1/namespaces/shop/policymodules/spring-sale";

/// What to upload, and where to.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A component's file.
    file: PathBuf,
    /// Under which name: a DNS label. What is there already is replaced.
    #[arg(long)]
    name: String,
    /// In which namespace [default: that of the kubeconfig's context].
    #[arg(long, short)]
    namespace: Option<String>,
    /// Where the server is, such as `https://foreshard.example.com`.
    #[arg(long, value_name = "URL", env = "FORESHARD_SERVER")]
    server: Option<String>,
    /// Certificate of the authority that the server's certificate is from, in PEM [default: those of the system].
    #[arg(long, value_name = "FILE", requires = "server")]
    ca_file: Option<PathBuf>,
    /// File that holds a bearer token.
    #[arg(long, value_name = "FILE", conflicts_with = "service_account")]
    token_file: Option<PathBuf>,
    /// A bearer token [env: FORESHARD_TOKEN, unless another one is asked for here]. Better in the environment than on a
    /// command line, which others on the machine can read.
    // Not by `env`: what is in the environment would be in conflict with the other flags.
    #[arg(long, value_name = "TOKEN")]
    #[arg(conflicts_with_all = ["token_file", "service_account"])]
    token: Option<String>,
    /// Has the cluster make a token for this service account of the namespace.
    #[arg(long, value_name = "NAME")]
    service_account: Option<String>,
    /// The kubeconfig [default: `KUBECONFIG`, or `~/.kube/config`].
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context [default: the current one].
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The operator's service, where no --server is given.
    #[arg(
        long,
        value_name = "NAMESPACE/NAME:PORT",
        default_value = "foreshard-system/foreshard:8443"
    )]
    service: server::Service,
}

pub(super) fn run(args: &Args, output: Format) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the thread that uploads")?;
    runtime.block_on(push(args, output))
}

async fn push(args: &Args, output: Format) -> anyhow::Result<ExitCode> {
    let file = args.file.display().to_string();
    let component = component(&file)?.into_owned();
    let bytes = component.len() as u64;
    let server = Server::find(args).await?;
    let spinner = spinner(bytes, &server.shown());
    let answer = server.put(&args.name, component).await;
    spinner.finish_and_clear();
    let answer = answer?;
    match output {
        Format::Json => output::json(answer.document())?,
        Format::Table => output::text(&answer.text(&file, &args.name, server.namespace()))?,
    }
    Ok(match answer {
        Answer::Stored { .. } => ExitCode::SUCCESS,
        Answer::Refused(_) => ExitCode::from(NOT_GOOD),
    })
}

/// Shown on standard error where that is a terminal.
fn spinner(bytes: u64, server: &str) -> ProgressBar {
    let size = indicatif::HumanBytes(bytes);
    let spinner = ProgressBar::new_spinner().with_message(format!(
        "{size} to {server}: uploading, then being checked there"
    ));
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
