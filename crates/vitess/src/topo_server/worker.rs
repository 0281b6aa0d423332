//! Keeps one etcd cluster: a pass after each change, and now and then without any.

use std::sync::Arc;
use std::time::Duration;

use foreshard_api::annotation;
use foreshard_api::condition::{self, Finding, kind};
use foreshard_api::time;
use foreshard_api::v1alpha1::{TopoServer, TopoServerStatus};
use foreshard_controller::call::{in_time, unix_now};
use foreshard_controller::error::{chain, refusal};
use foreshard_controller::index::Key;
use foreshard_etcd::{Client as EtcdClient, Id, Tls};
use kube::Resource as _;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::EventType;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::TOPO_SERVER_MANAGER;
use crate::apply::ApplyError;
use crate::shared::Shared;
use crate::topo_server::build::{self, pod::pod};
use crate::topo_server::dereference::{Objects, ask_members};
use crate::topo_server::maintain::{Chore, InVain, chore};
use crate::topo_server::observed::Observed;
use crate::topo_server::plan::{Change, Plan, plan};
use crate::topo_server::status;
use crate::topo_server::validate::Validated;

mod carry_out;
mod certificates;

/// Between two looks while something is waited for.
const LOOK_SOON: Duration = Duration::from_secs(2);
/// After something could not be carried out: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// Share by which pauses differ from each other.
const JITTER: f64 = 0.2;

/// One cluster's worker.
pub(crate) struct Worker {
    key: Key,
    shared: Arc<Shared>,
    look_every: Duration,
    jitter: rand_pcg::Pcg32,
    /// Once latched it stays so, also while a watch is behind.
    latched: Option<Id>,
    tls: Option<(Tls, Instant)>,
    /// What is wrong with the certificates, while they still do.
    warning: Option<Finding>,
    in_vain: InVain,
    retry: Duration,
}

/// How a pass ended.
enum Passed {
    /// Everything is as it is wanted.
    AsWanted,
    /// Something is waited for, or was just changed.
    Waits,
    /// Something could not be carried out.
    Failed,
}

impl Worker {
    pub(crate) fn new(key: Key, shared: Arc<Shared>, look_every: Duration) -> Self {
        let seed = key.0.bytes().chain(key.1.bytes());
        let seed = seed.fold(0_u64, |hash, byte| hash.wrapping_mul(31) + u64::from(byte));
        Self {
            key,
            shared,
            look_every,
            jitter: rand_pcg::Pcg32::seed_from_u64(seed),
            latched: None,
            tls: None,
            warning: None,
            in_vain: InVain::default(),
            retry: RETRY.0,
        }
    }

    /// Works until `stop`. After those before it broke `breaks` times in a row it leaves the cluster alone for a while.
    pub(crate) async fn run(mut self, breaks: u32, stop: CancellationToken) {
        let wait = RETRY
            .0
            .saturating_mul(2_u32.saturating_pow(breaks))
            .min(RETRY.1);
        if breaks > 0 {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        let bell = self.shared.wakes.bell(&self.key);
        loop {
            let pause = if self.shared.waits_for().is_some() {
                LOOK_SOON / 10
            } else {
                let pause = match self.pass().await {
                    Passed::AsWanted => self.look_every,
                    Passed::Waits => LOOK_SOON,
                    Passed::Failed => self.retry,
                };
                pause.mul_f64(1.0 + self.jitter.random_range(-JITTER..0.0))
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = bell.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.shared.wakes.remove(&self.key);
    }

    /// All five stages once.
    async fn pass(&mut self) -> Passed {
        let Some(object) = self.shared.topo_servers.get(&self.key.0, &self.key.1) else {
            return Passed::AsWanted;
        };
        let is_over = object.metadata.deletion_timestamp.is_some();
        if is_over
            || !self.shared.claim.holds()
            || annotation::is_paused(object.metadata.annotations.as_ref())
        {
            return Passed::AsWanted;
        }
        let old = object.status.clone().unwrap_or_default();
        let wanted = match Validated::parse(&object) {
            Ok(wanted) => wanted,
            Err(invalid) => {
                let generation = object.metadata.generation.unwrap_or(0);
                let now = time::from_unix(unix_now());
                let new = status::invalid(&old, generation, &invalid.to_string(), &now);
                self.write(&object, &old, &new).await;
                return Passed::AsWanted;
            }
        };
        let latched = old.cluster_id.as_deref().and_then(|it| it.parse().ok());
        self.latched = self.latched.or(latched);
        match self.reconcile(&object, &wanted, &old).await {
            Ok(passed) => {
                self.retry = RETRY.0;
                passed
            }
            Err(trouble) => {
                tracing::warn!(
                    namespace = self.key.0,
                    toposerver = self.key.1,
                    trouble = trouble.message,
                    "pass failed"
                );
                let generation = object.metadata.generation.unwrap_or(0);
                let now = time::from_unix(unix_now());
                let new = TopoServerStatus {
                    conditions: condition::merge(&old.conditions, &[trouble], generation, &now),
                    ..old.clone()
                };
                self.write(&object, &old, &new).await;
                self.retry = (self.retry * 2).min(RETRY.1);
                Passed::Failed
            }
        }
    }

    async fn reconcile(
        &mut self,
        object: &TopoServer,
        wanted: &Validated,
        old: &TopoServerStatus,
    ) -> Result<Passed, Finding> {
        let names = &wanted.names;
        let tls = self.certificates(wanted).await?;
        let warning = self.warning.clone();
        self.apply_objects(wanted)
            .await
            .map_err(|error| trouble(&error))?;
        let mut objects = Objects::watched(&self.shared, names);
        let mut seen = objects.observed(names, self.latched);
        let answering = ask_members(&self.shared, names, &tls, &mut seen).await;
        if answering.is_empty() {
            self.read_certificates_again();
        }
        let mut todo = plan(wanted, &seen, &*self.shared.addresses);
        if objects.are_changed_by(names, &todo) {
            objects = Objects::fresh(&self.shared, names)
                .await
                .map_err(|error| asked_in_vain(&error))?;
            let fresh = objects.observed(names, self.latched);
            seen.pods = fresh.pods;
            seen.claims = fresh.claims;
            todo = plan(wanted, &seen, &*self.shared.addresses);
        }
        let said = self.status(object, wanted, old, &seen, &todo, warning.as_ref());
        if let Some(cluster) = todo.latch {
            // It has to be known before anything rests on it.
            if !self.write(object, old, &said).await {
                return Ok(Passed::Failed);
            }
            self.latched = Some(cluster);
            let note =
                format!("etcd cluster {cluster} is bootstrapped and is never bootstrapped again.");
            self.shared
                .tell(object, EventType::Normal, "Bootstrapped", note)
                .await;
            return Ok(Passed::Waits);
        }
        let carried_out = self
            .carry_out(object, wanted, &objects, &todo, &answering)
            .await;
        let trouble = carried_out.as_ref().err().or(warning.as_ref());
        let said = self.status(object, wanted, old, &seen, &todo, trouble);
        self.tell_changes(object, old, &said).await;
        self.write(object, old, &said).await;
        carried_out?;
        if todo.takes_away() || todo.change.is_some() || todo.waits.is_some() {
            return Ok(Passed::Waits);
        }
        let now = Instant::now();
        if let Some(chore) = chore(
            wanted,
            &seen,
            &todo,
            &self.in_vain,
            now,
            &*self.shared.addresses,
        ) {
            self.do_chore(object, wanted, &objects, &seen, &answering, chore)
                .await?;
            return Ok(Passed::Waits);
        }
        let all_there = said.ready_members == Some(wanted.spec.members);
        Ok(if all_there {
            Passed::AsWanted
        } else {
            Passed::Waits
        })
    }

    fn status(
        &self,
        object: &TopoServer,
        wanted: &Validated,
        old: &TopoServerStatus,
        seen: &Observed,
        todo: &Plan,
        trouble: Option<&Finding>,
    ) -> TopoServerStatus {
        let told = status::Told {
            wanted,
            seen,
            plan: todo,
            trouble,
            addresses: &*self.shared.addresses,
        };
        let generation = object.metadata.generation.unwrap_or(0);
        status::status(old, generation, &told, &time::from_unix(unix_now()))
    }

    /// Writes a status that differs; answers whether it is there now.
    async fn write(
        &self,
        object: &TopoServer,
        old: &TopoServerStatus,
        new: &TopoServerStatus,
    ) -> bool {
        if old == new {
            return true;
        }
        if !self.shared.claim.holds() {
            return false;
        }
        let api: Api<TopoServer> = Api::namespaced(self.shared.client.clone(), &self.key.0);
        let patch = serde_json::json!({
            "apiVersion": TopoServer::api_version(&()),
            "kind": TopoServer::kind(&()),
            // Not the status of another object of the same name.
            "metadata": {"name": self.key.1, "uid": object.metadata.uid},
            "status": new,
        });
        let parameters = PatchParams::apply(TOPO_SERVER_MANAGER).force();
        let written =
            in_time(api.patch_status(&self.key.1, &parameters, &Patch::Apply(patch))).await;
        if let Err(error) = &written {
            tracing::warn!(
                namespace = self.key.0,
                toposerver = self.key.1,
                error = chain(error),
                "status not written"
            );
        }
        written.is_ok()
    }

    /// Events on what flipped.
    async fn tell_changes(
        &self,
        object: &TopoServer,
        old: &TopoServerStatus,
        new: &TopoServerStatus,
    ) {
        for kind in [kind::READY, kind::WITHIN_QUOTA, kind::STALLED] {
            let find =
                |all: &TopoServerStatus| all.conditions.iter().find(|it| it.type_ == kind).cloned();
            let Some(now) = find(new) else { continue };
            let before = find(old);
            let flipped = before
                .as_ref()
                .is_none_or(|it| (&it.status, &it.reason) != (&now.status, &now.reason));
            // The first "not yet" is no news.
            let is_news = before.is_some() || now.status == "True";
            let is_bad = (kind == kind::STALLED) == (now.status == "True");
            if !flipped || !is_news || (kind == kind::STALLED && before.is_none() && !is_bad) {
                continue;
            }
            let event = if is_bad {
                EventType::Warning
            } else {
                EventType::Normal
            };
            self.shared
                .tell(object, event, &now.reason, now.message.clone())
                .await;
        }
    }
}

/// What could not be written, as a condition.
fn trouble(error: &ApplyError) -> Finding {
    let (reason, message) = match error {
        ApplyError::Write { kind, name, source } => {
            let (reason, said) = refusal(source);
            (reason, format!("{kind} {name} was not written: {said}"))
        }
        other => ("NotWritten", chain(other)),
    };
    Finding::no(kind::PROGRESSING, reason, message)
}

fn asked_in_vain(error: &kube::Error) -> Finding {
    let (reason, said) = refusal(error);
    Finding::no(
        kind::PROGRESSING,
        reason,
        format!("Pods and volumes cannot be listed: {said}"),
    )
}

/// The first member that answers; learners come last.
fn any(answering: &[(u32, EtcdClient)]) -> Option<&EtcdClient> {
    answering.first().map(|(_, client)| client)
}
