//! Keeps one etcd cluster.

use std::sync::Arc;

use foreshard_api::condition::{self, Finding, kind};
use foreshard_api::time;
use foreshard_api::v1alpha1::{TopoServer, TopoServerStatus};
use foreshard_controller::call::unix_now;
use foreshard_controller::error::refusal;
use foreshard_controller::index::Key;
use foreshard_etcd::{Client as EtcdClient, Id, Tls};
use kube::runtime::events::EventType;
use tokio::time::Instant;

use crate::apply::trouble;
use crate::shared::Shared;
use crate::topo_server::build::{self, pod::pod};
use crate::topo_server::dereference::{Objects, ask_members};
use crate::topo_server::maintain::{Chore, InVain, chore};
use crate::topo_server::observed::Observed;
use crate::topo_server::plan::{Change, Plan, plan};
use crate::topo_server::status;
use crate::topo_server::validate::Validated;
use crate::worker::{Pass, Passed};

mod carry_out;
mod certificates;

/// One cluster's worker.
pub(crate) struct Worker {
    key: Key,
    shared: Arc<Shared>,
    /// Once latched it stays so, also while a watch is behind.
    latched: Option<Id>,
    tls: Option<(Tls, Instant)>,
    /// What is wrong with the certificates, while they still do.
    warning: Option<Finding>,
    in_vain: InVain,
}

impl Pass for Worker {
    async fn pass(&mut self) -> Passed {
        let Some(object) = self.shared.topo_servers.get(&self.key.0, &self.key.1) else {
            return Passed::AsWanted;
        };
        if !self.shared.may_change(&*object) {
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
            Ok(passed) => passed,
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
                Passed::Failed
            }
        }
    }
}

impl Worker {
    pub(crate) fn new(key: Key, shared: Arc<Shared>) -> Self {
        Self {
            key,
            shared,
            latched: None,
            tls: None,
            warning: None,
            in_vain: InVain::default(),
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
        } else if answering.len() < wanted.members as usize {
            self.read_certificates_soon();
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
        let writer = &self.shared.writer;
        old == new || writer.status(object, new).await
    }

    /// Events on what flipped.
    async fn tell_changes(
        &self,
        object: &TopoServer,
        old: &TopoServerStatus,
        new: &TopoServerStatus,
    ) {
        let kinds = [kind::READY, kind::WITHIN_QUOTA, kind::STALLED];
        let (old, new) = (&old.conditions, &new.conditions);
        self.shared.tell_changes(object, &kinds, old, new).await;
    }
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
