//! What was planned is done: objects first, then what goes, then the one change of the membership.

use foreshard_api::condition::{Finding, kind};
use foreshard_api::v1alpha1::TopoServer;
use foreshard_controller::error::chain;
use foreshard_etcd::Client as EtcdClient;
use kube::ResourceExt as _;
use kube::runtime::events::EventType;
use tokio::time::Instant;

use super::{Change, Chore, Objects, Observed, Plan, Validated, Worker, any, build, pod};
use crate::apply::{ApplyError, trouble};

impl Worker {
    /// What does not depend on the members.
    pub(super) async fn apply_objects(&self, wanted: &Validated) -> Result<(), ApplyError> {
        let build::Objects {
            service,
            peers,
            budget,
        } = build::objects(wanted);
        let (shared, names) = (&self.shared, &wanted.names);
        for wanted in [&service, &peers] {
            let name = wanted.metadata.name.as_deref().unwrap_or_default();
            let live = shared.services.get(&names.namespace, name);
            shared.writer.apply(wanted, live.as_deref()).await?;
        }
        let live = shared.budgets.get(&names.namespace, &names.service());
        shared.writer.apply(&budget, live.as_deref()).await
    }

    pub(super) async fn carry_out(
        &self,
        object: &TopoServer,
        wanted: &Validated,
        objects: &Objects,
        todo: &Plan,
        answering: &[(u32, EtcdClient)],
    ) -> Result<(), Finding> {
        self.put_members(wanted, objects, todo)
            .await
            .map_err(|error| trouble(&error))?;
        self.take_away(object, wanted, objects, todo)
            .await
            .map_err(|error| trouble(&error))?;
        match (&todo.change, any(answering)) {
            (Some(change), Some(client)) => self.change(object, wanted, change, client).await,
            _ => Ok(()),
        }
    }

    async fn put_members(
        &self,
        wanted: &Validated,
        objects: &Objects,
        todo: &Plan,
    ) -> Result<(), ApplyError> {
        let writer = &self.shared.writer;
        for (index, claim) in &todo.claims {
            let claim = build::claim(wanted, *index, claim);
            let live = objects.claim(&wanted.names, *index);
            writer.apply(&claim, live).await?;
        }
        for (index, start) in &todo.pods {
            let pod = pod(wanted, *index, start, &*self.shared.addresses);
            match objects.pod(&wanted.names, *index) {
                None => writer.apply(&pod, None).await?,
                // Most of a pod cannot be changed, and how it started is past. Without its labels nobody finds it.
                Some(live) => writer.label(live, pod.labels()).await?,
            }
        }
        Ok(())
    }

    async fn take_away(
        &self,
        object: &TopoServer,
        wanted: &Validated,
        objects: &Objects,
        todo: &Plan,
    ) -> Result<(), ApplyError> {
        let (shared, names) = (&self.shared, &wanted.names);
        for (index, why) in &todo.pods_end {
            if let Some(pod) = objects.pod(names, *index) {
                shared.writer.delete(pod).await?;
                let note = format!("Pod {} is deleted: {why}.", names.member(*index));
                shared
                    .tell(object, EventType::Normal, "PodDeleted", note)
                    .await;
            }
        }
        for (index, why) in &todo.claims_end {
            if let Some(claim) = objects.claim(names, *index) {
                shared.writer.delete(claim).await?;
                let note = format!("Volume {} is deleted: {why}.", names.member(*index));
                shared
                    .tell(object, EventType::Warning, "VolumeDeleted", note)
                    .await;
            }
        }
        Ok(())
    }

    async fn change(
        &self,
        object: &TopoServer,
        wanted: &Validated,
        change: &Change,
        client: &EtcdClient,
    ) -> Result<(), Finding> {
        let (shared, names) = (&self.shared, &wanted.names);
        shared.writer.leads().map_err(|error| trouble(&error))?;
        let (event, reason, note) = match change {
            Change::Add { index } => {
                let url = shared.addresses.peer_url(names, *index);
                let id = client
                    .add_learner(&url)
                    .await
                    .map_err(|error| refused(&error))?;
                let note = format!("{} is added as learner {id}.", names.member(*index));
                (EventType::Normal, "MemberAdded", note)
            }
            Change::Promote { index, id } => match client.promote(*id).await {
                Ok(()) => {
                    let note = format!("{} has caught up and votes.", names.member(*index));
                    (EventType::Normal, "MemberPromoted", note)
                }
                // It is asked again soon.
                Err(error) if error.is_not_in_sync() => return Ok(()),
                Err(error) => return Err(refused(&error)),
            },
            Change::Remove { index, id, why } => {
                client.remove(*id).await.map_err(|error| refused(&error))?;
                let note = format!(
                    "{} ({id}) is removed and replaced: {why}.",
                    names.member(*index)
                );
                (EventType::Warning, "MemberRemoved", note)
            }
        };
        shared.tell(object, event, reason, note).await;
        Ok(())
    }

    /// What is done to one member when nothing else goes on.
    pub(super) async fn do_chore(
        &mut self,
        object: &TopoServer,
        wanted: &Validated,
        objects: &Objects,
        seen: &Observed,
        answering: &[(u32, EtcdClient)],
        chore: Chore,
    ) -> Result<(), Finding> {
        let names = &wanted.names;
        self.shared
            .writer
            .leads()
            .map_err(|error| trouble(&error))?;
        match chore {
            Chore::Defragment(index) => {
                let client = answering.iter().find(|(of, _)| *of == index);
                let (Some((_, client)), Some(status)) = (client, seen.statuses.get(&index)) else {
                    return Ok(());
                };
                let before = status.database_bytes;
                let done = client.defragment().await;
                let after = client.status().await.map(|it| it.database_bytes);
                // Else it would be tried at every pass.
                if done.is_err() || after.is_ok_and(|after| after * 10 > before * 9) {
                    self.in_vain.was(status.member, Instant::now());
                }
                done.map_err(|error| refused(&error))?;
                let note = format!("{} was defragmented.", names.member(index));
                self.shared
                    .tell(object, EventType::Normal, "Defragmented", note)
                    .await;
            }
            Chore::Disarm(member) => {
                let Some(client) = any(answering) else {
                    return Ok(());
                };
                client
                    .disarm_no_space(member)
                    .await
                    .map_err(|error| refused(&error))?;
                let note = format!("The alarm of member {member} about space is over.");
                self.shared
                    .tell(object, EventType::Normal, "SpaceAlarmOver", note)
                    .await;
            }
            Chore::Restart(index) => {
                let Some(pod) = objects.pod(names, index) else {
                    return Ok(());
                };
                self.shared
                    .writer
                    .delete(pod)
                    .await
                    .map_err(|error| trouble(&error))?;
                let note = format!(
                    "{} is started again as the spec now says.",
                    names.member(index)
                );
                self.shared
                    .tell(object, EventType::Normal, "MemberRestarted", note)
                    .await;
            }
        }
        Ok(())
    }
}

fn refused(error: &foreshard_etcd::Error) -> Finding {
    Finding::no(
        kind::PROGRESSING,
        "EtcdRefused",
        format!("{}; it is tried again.", chain(error)),
    )
}
