//! What is asked before anything is decided: objects by the watches, Secrets by name, etcd by its own API.

use std::sync::Arc;
use std::time::Duration;

use foreshard_controller::call::in_time;
use foreshard_etcd::{Client as EtcdClient, Id, Tls};
use futures::future::join_all;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;
use kube::api::Api;

use crate::names::{MEMBERS_MAX, Names};
use crate::shared::Shared;
use crate::topo_server::observed::Observed;
use crate::topo_server::plan::Plan;

/// Pods and volumes of one cluster.
pub(crate) struct Objects {
    pub(crate) pods: Vec<Arc<Pod>>,
    pub(crate) claims: Vec<Arc<PersistentVolumeClaim>>,
}

impl Objects {
    /// As the watches have them.
    pub(crate) fn watched(shared: &Shared, names: &Names) -> Self {
        let members = || (0..MEMBERS_MAX).map(|index| names.member(index));
        let namespace = &names.namespace;
        Self {
            pods: members()
                .filter_map(|name| shared.pods.get(namespace, &name))
                .collect(),
            claims: members()
                .filter_map(|name| shared.claims.get(namespace, &name))
                .collect(),
        }
    }

    /// As they are at this moment, by their names: before something is made or taken away, no watch is believed, and no
    /// label.
    pub(crate) async fn fresh(shared: &Shared, names: &Names) -> kube::Result<Self> {
        let pods: Api<Pod> = Api::namespaced(shared.client.clone(), &names.namespace);
        let claims: Api<PersistentVolumeClaim> =
            Api::namespaced(shared.client.clone(), &names.namespace);
        let mut all = Self {
            pods: Vec::new(),
            claims: Vec::new(),
        };
        for name in (0..MEMBERS_MAX).map(|index| names.member(index)) {
            all.pods
                .extend(in_time(pods.get_opt(&name)).await?.map(Arc::new));
            all.claims
                .extend(in_time(claims.get_opt(&name)).await?.map(Arc::new));
        }
        Ok(all)
    }

    /// Whether a plan makes or takes away something, by what these objects are.
    pub(crate) fn are_changed_by(&self, names: &Names, plan: &Plan) -> bool {
        let mut claims = plan.claims.keys();
        let mut pods = plan.pods.keys();
        plan.takes_away()
            || claims.any(|index| self.claim(names, *index).is_none())
            || pods.any(|index| self.pod(names, *index).is_none())
    }

    /// What they say, with the identity that is latched.
    pub(crate) fn observed(&self, names: &Names, latched: Option<Id>) -> Observed {
        let (pods, claims) = (self.pods.iter(), self.claims.iter());
        Observed {
            latched,
            ..Observed::objects(names, pods.map(AsRef::as_ref), claims.map(AsRef::as_ref))
        }
    }

    pub(crate) fn pod(&self, names: &Names, index: u32) -> Option<&Pod> {
        let name = names.member(index);
        self.pods
            .iter()
            .map(AsRef::as_ref)
            .find(|it| it.name_any() == name)
    }

    pub(crate) fn claim(&self, names: &Names, index: u32) -> Option<&PersistentVolumeClaim> {
        let name = names.member(index);
        self.claims
            .iter()
            .map(AsRef::as_ref)
            .find(|it| it.name_any() == name)
    }
}

/// Longest time for all members together, so that one that is silent does not hold up the rest.
const ALL_MEMBERS: Duration = Duration::from_secs(4);

/// Asks the members whose pods are there for what they know, and adds it to what was observed. Answers with whom it was
/// spoken.
pub(crate) async fn ask_members(
    shared: &Shared,
    names: &Names,
    tls: &Tls,
    seen: &mut Observed,
) -> Vec<(u32, EtcdClient)> {
    let mut clients = Vec::new();
    for index in seen.pods.keys().copied().collect::<Vec<_>>() {
        let address = shared.addresses.dial(names, index);
        match EtcdClient::new(&address, &names.host(index), tls) {
            Ok(client) => clients.push((index, client)),
            Err(error) => seen.members_unknown = Some(error.to_string()),
        }
    }
    let ask = clients.iter().map(|(index, client)| async move {
        let status = tokio::time::timeout(ALL_MEMBERS, client.status()).await;
        (*index, client, status)
    });
    let mut answering = Vec::new();
    for (index, client, status) in join_all(ask).await {
        match status {
            Ok(Ok(status)) => {
                seen.statuses.insert(index, status);
                answering.push((index, client.clone()));
            }
            Ok(Err(error)) => seen.members_unknown = Some(error.to_string()),
            Err(_) => seen.members_unknown = Some(format!("{} is silent", names.member(index))),
        }
    }
    // A learner does not answer for the cluster.
    answering.sort_by_key(|(index, _)| seen.statuses.get(index).is_some_and(|it| it.is_learner));
    for (_, client) in &answering {
        match client.members().await {
            Ok(members) => {
                seen.members = Some(members);
                seen.members_unknown = None;
                seen.alarms = client.alarms().await.unwrap_or_default();
                break;
            }
            Err(error) => seen.members_unknown = Some(error.to_string()),
        }
    }
    answering
}
