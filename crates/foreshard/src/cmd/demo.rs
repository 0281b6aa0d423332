//! `foreshard demo`.

mod feed;
mod load;
mod pace;
mod screen;
mod serving;
mod stage;
mod summary;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context as _;

use super::backtest::parse;
use crate::bound;
use crate::output::Format;
use feed::Feed;
use pace::Pace;
use screen::Screen;
use serving::Serving;
use stage::{Script, Stage};
use summary::Summary;

const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

const EXAMPLES: &str = "\
What is shown:
  A Vitess cluster in virtual time: vtgates (2 minutes to a new one), replicas (10 minutes) and shards (an hour), each \
kind with its own share of the load. The first half of the trace is the history that the forecaster learned from; the \
second half is lived through, minute by minute. At the end, harm and cost of each kind stand beside what other \
autoscalers would have made of it.

Examples:
  Look at it in a browser, at http://127.0.0.1:8080:
    foreshard demo
  Only the result, as fast as it goes:
    foreshard demo --once
  Your own load, an hour a second:
    foreshard demo --trace load.csv.gz --speed 1h
  Let another policy act while it runs:
    curl -T mine.wasm http://127.0.0.1:8080/api/v1/namespaces/demo/policymodules/mine
    curl -X PUT -H 'content-type: application/json' -d '{\"module\": \"mine\", \"config\": {}}' \\
      http://127.0.0.1:8080/api/v1/namespaces/demo/targets/commerce/policy";

/// A simulated Vitess cluster under a real load: forecast, decisions and their reasons, live in terminal and browser.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The load, csv or csv.gz with `timestamp,value`; without it, four weeks of a real one that is built in.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Virtual time that passes in a second; a busy machine may need longer.
    #[arg(long, value_name = "SPAN", value_parser = parse::span, default_value = "112m", conflicts_with = "once")]
    speed: i64,
    /// As fast as it goes, then print the summary and exit; serves nothing unless --listen is given.
    #[arg(long)]
    once: bool,
    /// Where API and console are served [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Share of time that load may exceed capacity.
    #[arg(long, value_name = "SHARE", value_parser = parse::share, default_value = "1%")]
    budget: f64,
    /// The policy at the beginning: a component, or `builtin:` and a name.
    #[arg(
        long,
        value_name = "FILE.wasm|builtin:NAME",
        default_value = "builtin:forecast-headroom"
    )]
    policy: String,
    /// The policy's configuration, in JSON.
    #[arg(long, value_name = "JSON", value_parser = parse::json, default_value = "{}")]
    policy_config: String,
    /// Seed of the one random thing in here: the shuffles of the peer `crane`.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(args: Args, format: Format) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting the threads that serve")?;
    runtime.block_on(demo(args, format))
}

async fn demo(args: Args, format: Format) -> anyhow::Result<ExitCode> {
    let host = bound::host()?;
    let address = args.listen.or((!args.once).then_some(LISTEN));
    // First of all, so that a port in use is said at once.
    let serving = match address {
        Some(address) => Some(Serving::start(address, &host).await?),
        None => None,
    };
    let load = load::load(args.trace.as_deref())?;
    let stage = Stage::new(
        &host,
        &load,
        &Script {
            policy: &args.policy,
            config: &args.policy_config,
            budget: args.budget,
            seed: args.seed,
        },
    )?;
    let stopped = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn(interrupted(Arc::clone(&stopped)));
    let act = Act {
        pace: if args.once {
            Pace::FlatOut
        } else {
            Pace::virtual_seconds(args.speed)
        },
        feed: serving
            .as_ref()
            .map(|serving| Feed::new(serving.namespace(), &stage))
            .transpose()?,
        screen: Screen::new(serving.as_ref().map(Serving::address)),
        stage,
        stopped: Arc::clone(&stopped),
    };
    let summary = tokio::task::spawn_blocking(move || act.play())
        .await
        .context("the simulation")??;
    if let Some(summary) = &summary {
        summary.print(format)?;
    }
    if let Some(serving) = serving {
        if summary.is_some() && !args.once && !stopped.load(Ordering::Relaxed) {
            eprintln!(
                "The trace is over. Console and API stay at http://{}; Ctrl-C ends.",
                serving.address()
            );
            watching.await.context("waiting for Ctrl-C")?;
        }
        serving.stop().await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends when the user has seen enough.
async fn interrupted(stopped: Arc<AtomicBool>) {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "Ctrl-C can't be noticed.");
        std::future::pending::<()>().await;
    }
    stopped.store(true, Ordering::Relaxed);
}

/// The simulation and those who watch it.
struct Act {
    stage: Stage,
    pace: Pace,
    feed: Option<Feed>,
    screen: Screen,
    stopped: Arc<AtomicBool>,
}

impl Act {
    /// Lives through the trace; none when the user has seen enough before.
    fn play(mut self) -> anyhow::Result<Option<Summary>> {
        let begin = Instant::now();
        self.pace.begin(begin);
        loop {
            if self.stopped.load(Ordering::Relaxed) {
                self.screen.end();
                return Ok(None);
            }
            if let Some(feed) = &mut self.feed {
                feed.follow(&mut self.stage)?;
            }
            let outcome = self.stage.step()?;
            if let Some(feed) = &mut self.feed {
                feed.publish(&self.stage, &outcome);
            }
            self.screen.show(&self.stage, &outcome);
            if !self.stage.advance() {
                if let Some(feed) = &self.feed {
                    feed.finish(&self.stage, &outcome);
                }
                break;
            }
            self.pace.wait(&self.stopped);
        }
        self.screen.end();
        Ok(Some(self.stage.summary(begin.elapsed())?))
    }
}
