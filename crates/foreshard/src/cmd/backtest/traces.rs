//! Where the loads come from.

use std::time::Duration;

use anyhow::Context as _;
use foreshard_forecast::Series;
use foreshard_history::prometheus::{RangeQuery, Source};
use foreshard_history::trace;

use super::Args;
use super::progress;
use crate::reading;

/// How long a Prometheus server may take for one request.
const PROMETHEUS_TIMEOUT: Duration = Duration::from_secs(60);

/// One recorded load.
pub(crate) struct Trace {
    /// Its name in reports.
    pub(crate) name: String,
    /// The load.
    pub(crate) series: Series,
}

/// Reads all that `args` names.
pub(crate) fn load(args: &Args) -> anyhow::Result<Vec<Trace>> {
    match &args.prometheus {
        Some(url) => Ok(vec![fetch(args, url)?]),
        None => args
            .trace
            .iter()
            .map(|path| {
                Ok(Trace {
                    name: trace::name(path),
                    series: reading::series(path)?,
                })
            })
            .collect(),
    }
}

fn fetch(args: &Args, url: &str) -> anyhow::Result<Trace> {
    // clap demands these together with --prometheus.
    let (Some(promql), Some(from), Some(to)) = (&args.query, args.from, args.to) else {
        anyhow::bail!("--prometheus needs --query, --from and --to");
    };
    let query = RangeQuery {
        promql: promql.clone(),
        from,
        to,
        step: args.step,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime for network requests")?;
    let bar = progress::bar(0, "fetching");
    let source = Source::new(url, PROMETHEUS_TIMEOUT)?;
    let series = runtime.block_on(source.fetch(&query, &mut |fetched, wanted| {
        bar.set_length(wanted);
        bar.set_position(fetched);
    }))?;
    bar.finish_and_clear();
    Ok(Trace {
        name: promql.clone(),
        series,
    })
}
