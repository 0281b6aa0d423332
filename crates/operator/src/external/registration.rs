//! Telling the cluster that the external-metrics API is here: one APIService for all of the cluster.
//!
//! There can be only one, and whoever was first keeps it. It is made only where there is none, changed only where the
//! label says that it is ours, and not made again when somebody has removed it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use foreshard_external::{GROUP, VERSION};
use k8s_openapi::ByteString;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{
    APIService, APIServiceSpec, ServiceReference,
};
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource as _, ResourceExt as _};
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;
use foreshard_controller::call::in_time;
use foreshard_controller::error::chain;

/// Says whose it is.
const LABEL: &str = "app.kubernetes.io/managed-by";
/// See [`LABEL`].
const OURS: &str = "foreshard-operator";
/// Between two looks.
const EVERY: Duration = Duration::from_secs(10);
/// Among aggregated APIs nothing depends on the order.
const PRIORITY: i32 = 100;

/// Where the cluster finds the API.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Namespace of the service.
    pub namespace: String,
    /// Its name.
    pub service: String,
    /// Its port.
    pub port: u16,
    /// Who has signed the certificate that is served, in PEM; read at each look.
    pub authority_file: PathBuf,
}

/// What is to be done, or why nothing.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// There is none yet.
    Create(APIService),
    /// It is ours and not what it should be.
    Update(APIService),
    /// It is ours and as it should be.
    Keep,
    /// It leads to somebody else, named here.
    Foreign(String),
    /// It was ours, and somebody has removed it.
    Removed,
}

/// Keeps the APIService for as long as the operator runs.
pub(crate) struct Registrar {
    registration: Registration,
    shared: Arc<Shared>,
    api: Api<APIService>,
    /// It was there, and ours, while this process has run.
    was_ours: bool,
    /// What was said last, so that it is said once.
    said: Option<String>,
}

impl Registration {
    pub(crate) fn registrar(self, shared: &Arc<Shared>) -> Registrar {
        Registrar {
            registration: self,
            api: Api::all(shared.client.clone()),
            shared: Arc::clone(shared),
            was_ours: false,
            said: None,
        }
    }

    fn wanted(&self, authority_pem: Vec<u8>) -> APIServiceSpec {
        APIServiceSpec {
            ca_bundle: Some(ByteString(authority_pem)),
            group: Some(GROUP.to_owned()),
            group_priority_minimum: PRIORITY,
            insecure_skip_tls_verify: None,
            service: Some(ServiceReference {
                name: Some(self.service.clone()),
                namespace: Some(self.namespace.clone()),
                port: Some(i32::from(self.port)),
            }),
            version: Some(VERSION.to_owned()),
            version_priority: PRIORITY,
        }
    }
}

impl Registrar {
    /// Until `stop`; the APIService stays: another replica serves on.
    pub(crate) async fn keep(mut self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.look().await {
                self.say(format!("apiservice {}: {error}", name()));
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn look(&mut self) -> Result<(), String> {
        let failed = |error: &dyn std::error::Error| chain(error).to_string();
        let file = &self.registration.authority_file;
        let authority = tokio::fs::read(file)
            .await
            .map_err(|error| format!("reading {}: {error}", file.display()))?;
        let found = in_time(self.api.get_opt(&name()))
            .await
            .map_err(|error| failed(&error))?;
        let step = next(
            found.as_ref(),
            self.registration.wanted(authority),
            self.was_ours,
        );
        let ours = matches!(step, Step::Keep | Step::Update(_));
        self.was_ours |= ours;
        let registered = &self.shared.metrics.external_metrics_registered;
        registered.set(i64::from(ours));
        let leads = self.shared.claim.holds();
        let parameters = PostParams::default();
        match step {
            Step::Keep => self.said = None,
            Step::Create(object) if leads => {
                in_time(self.api.create(&parameters, &object))
                    .await
                    .map_err(|error| failed(&error))?;
                tracing::info!(name = name(), "apiservice made");
            }
            Step::Update(object) if leads => {
                in_time(self.api.replace(&name(), &parameters, &object))
                    .await
                    .map_err(|error| failed(&error))?;
                tracing::info!(name = name(), "apiservice brought up to date");
            }
            // Another replica does.
            Step::Create(_) | Step::Update(_) => {}
            Step::Foreign(whose) => {
                let note = format!(
                    "apiservice {} leads to {whose} already and is left alone; only one can serve external metrics, so HPAs cannot read Foreshard's: use KEDA's external scaler, or delete it",
                    name()
                );
                if self.say(note.clone()) && leads {
                    self.tell(found.as_ref(), note).await;
                }
            }
            Step::Removed => {
                self.say(format!(
                    "apiservice {} was removed by somebody and is not made again before the operator is restarted",
                    name()
                ));
            }
        }
        Ok(())
    }

    /// Logs it, if it was not said last.
    fn say(&mut self, what: String) -> bool {
        if self.said.as_ref() == Some(&what) {
            return false;
        }
        tracing::warn!("{what}");
        self.said = Some(what);
        true
    }

    async fn tell(&self, about: Option<&APIService>, note: String) {
        let Some(about) = about else { return };
        let event = Event {
            type_: EventType::Warning,
            reason: "ExternalMetricsTaken".to_owned(),
            note: Some(note),
            action: "Registering".to_owned(),
            secondary: None,
        };
        let about = about.object_ref(&());
        let published = self.shared.recorder.publish(&event, &about);
        if let Err(error) = in_time(published).await {
            tracing::warn!(error = chain(&error), "event not written");
        }
    }
}

fn name() -> String {
    format!("{VERSION}.{GROUP}")
}

fn next(found: Option<&APIService>, wanted: APIServiceSpec, was_ours: bool) -> Step {
    let Some(found) = found else {
        if was_ours {
            return Step::Removed;
        }
        return Step::Create(APIService {
            metadata: ObjectMeta {
                name: Some(name()),
                labels: Some([(LABEL.to_owned(), OURS.to_owned())].into()),
                ..ObjectMeta::default()
            },
            spec: Some(wanted),
            status: None,
        });
    };
    if found.labels().get(LABEL).map(String::as_str) != Some(OURS) {
        let service = found.spec.as_ref().and_then(|spec| spec.service.as_ref());
        let whose = service.map_or_else(
            || "the API server itself".to_owned(),
            |it| {
                let part = |part: &Option<String>| part.clone().unwrap_or_default();
                format!("service {}/{}", part(&it.namespace), part(&it.name))
            },
        );
        return Step::Foreign(whose);
    }
    if found.spec.as_ref() == Some(&wanted) {
        return Step::Keep;
    }
    Step::Update(APIService {
        metadata: ObjectMeta {
            managed_fields: None,
            ..found.metadata.clone()
        },
        spec: Some(wanted),
        status: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(authority: &str) -> APIServiceSpec {
        let registration = Registration {
            namespace: "foreshard-system".to_owned(),
            service: "foreshard-external-metrics".to_owned(),
            port: 443,
            authority_file: PathBuf::new(),
        };
        registration.wanted(authority.as_bytes().to_vec())
    }

    fn made() -> APIService {
        let Step::Create(object) = next(None, wanted("a"), false) else {
            panic!("nothing is made");
        };
        object
    }

    #[test]
    fn it_is_made_where_there_is_none_and_kept_up_to_date() {
        let object = made();
        assert_eq!(object.name_any(), "v1beta1.external.metrics.k8s.io");
        assert_eq!(next(Some(&object), wanted("a"), false), Step::Keep);
        let Step::Update(changed) = next(Some(&object), wanted("b"), true) else {
            panic!("it is not brought up to date");
        };
        assert_eq!(changed.spec, Some(wanted("b")));
        assert_eq!(changed.metadata, object.metadata);
    }

    #[test]
    fn anothers_is_left_alone_and_what_was_removed_is_not_made_again() {
        let mut foreign = made();
        foreign.metadata.labels = None;
        foreign.spec.as_mut().unwrap().service = Some(ServiceReference {
            name: Some("keda-operator-metrics-apiserver".to_owned()),
            namespace: Some("keda".to_owned()),
            port: None,
        });
        let whose = "service keda/keda-operator-metrics-apiserver".to_owned();
        for was_ours in [false, true] {
            assert_eq!(
                next(Some(&foreign), wanted("a"), was_ours),
                Step::Foreign(whose.clone())
            );
        }
        foreign.spec.as_mut().unwrap().service = None;
        let local = Step::Foreign("the API server itself".to_owned());
        assert_eq!(next(Some(&foreign), wanted("a"), false), local);
        assert_eq!(next(None, wanted("a"), true), Step::Removed);
    }
}
