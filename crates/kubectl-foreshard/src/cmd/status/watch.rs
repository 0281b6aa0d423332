//! The table as it changes.

use std::collections::HashMap;
use std::pin::pin;

use anyhow::bail;
use foreshard_api::v1alpha1::{ScalingOverride, ScalingPolicy};
use foreshard_cli::output;
use futures::TryStreamExt as _;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt as _};
use tokio::time::{Duration, Instant};

use super::overview::{header, row};
use crate::clock;
use crate::cluster::Cluster;
use crate::print::{Columns, note};
use foreshard_cli::text::chain;

/// For how long overrides that were read are believed.
const OVERRIDES_FRESH: Duration = Duration::from_secs(5);

/// The overrides, read again when a line is to be shown.
struct Overrides<'a> {
    cluster: &'a Cluster,
    all_namespaces: bool,
    read: Option<(Instant, Vec<ScalingOverride>)>,
}

impl Overrides<'_> {
    async fn now(&mut self) -> &[ScalingOverride] {
        let is_fresh = |(at, _): &(Instant, _)| at.elapsed() < OVERRIDES_FRESH;
        if !self.read.as_ref().is_some_and(is_fresh) {
            // Who may not read them is shown the rest.
            let read = super::overrides(self.cluster, self.all_namespaces).await;
            self.read = Some((Instant::now(), read.unwrap_or_default()));
        }
        match &self.read {
            Some((_, all)) => all,
            None => &[],
        }
    }
}

/// Prints each policy, and each again whenever its line changes. Ends only by an error before the first line; later ones
/// are told, and it is tried anew.
pub(super) async fn watch(
    cluster: &Cluster,
    policies: Api<ScalingPolicy>,
    name: Option<&str>,
    all_namespaces: bool,
) -> anyhow::Result<()> {
    let mut config = watcher::Config::default();
    if let Some(name) = name {
        config = config.fields(&format!("metadata.name={name}"));
    }
    let mut events = pin!(watcher(policies, config).default_backoff());
    let head: Vec<String> = header(all_namespaces)
        .iter()
        .map(|it| (*it).to_owned())
        .collect();
    let mut overrides = Overrides {
        cluster,
        all_namespaces,
        read: None,
    };
    let mut first = Vec::new();
    let mut columns: Option<Columns> = None;
    let mut shown = HashMap::new();
    loop {
        let event = match events.try_next().await {
            Ok(event) => event,
            Err(error) => {
                let said = format!("watching the policies: {}", chain(&error));
                if columns.is_none() {
                    bail!(said);
                }
                note(&format!("warning: {said}; trying again"));
                continue;
            }
        };
        match event {
            None => return Ok(()),
            // After a broken connection everything comes again.
            Some(Event::Init) => first.clear(),
            Some(Event::InitApply(policy)) => first.push(policy),
            Some(Event::InitDone) => {
                let now = clock::now();
                let orders = overrides.now().await;
                let rows: Vec<_> = first
                    .iter()
                    .map(|it| row(it, orders, all_namespaces, now))
                    .collect();
                let fresh = columns.is_none();
                let fit = || Columns::fit(std::iter::once(&head).chain(&rows));
                let columns = columns.get_or_insert_with(fit);
                if fresh {
                    output::text(&columns.line(&head))?;
                }
                for (policy, row) in first.drain(..).zip(rows) {
                    tell(&policy, row, columns, &mut shown)?;
                }
            }
            Some(Event::Apply(policy)) => {
                if let Some(columns) = &columns {
                    let orders = overrides.now().await;
                    let row = row(&policy, orders, all_namespaces, clock::now());
                    tell(&policy, row, columns, &mut shown)?;
                }
            }
            Some(Event::Delete(policy)) => {
                shown.remove(&policy.uid());
            }
        }
    }
}

fn tell(
    policy: &ScalingPolicy,
    row: Vec<String>,
    columns: &Columns,
    shown: &mut HashMap<Option<String>, Vec<String>>,
) -> anyhow::Result<()> {
    let id = policy.uid();
    if shown.get(&id) != Some(&row) {
        output::text(&columns.line(&row))?;
        shown.insert(id, row);
    }
    Ok(())
}
