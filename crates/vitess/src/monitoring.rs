//! A Prometheus for one cluster: what it scrapes, who it is, and the PrometheusSource by which policies read it. All of it
//! is built here, and nothing is asked.

use foreshard_api::v1alpha1::vitess::components::ManagedPrometheus;
use foreshard_api::v1alpha1::{PrometheusSource, PrometheusSourceSpec};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy};
use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, Container, PersistentVolumeClaim, PersistentVolumeClaimSpec,
    PersistentVolumeClaimVolumeSource, PodSpec, PodTemplateSpec, Service, ServiceAccount,
    ServicePort, ServiceSpec, Volume, VolumeResourceRequirements,
};
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::cluster::names::{Labels, PROMETHEUS};
use crate::cluster::wanted::Wanted;
use crate::digest;
use crate::workload;

mod scrapes;

/// Its port.
pub(crate) const PORT: i32 = 9090;
/// The user of Prometheus' image.
const USER: i64 = 65_534;
/// Where its configuration is.
const CONFIGURATION: &str = "/etc/prometheus";
/// Where its samples are.
const SAMPLES: &str = "/prometheus";
/// The configuration's name.
const FILE: &str = "prometheus.yml";
/// On its pod: digest of what it scrapes, so that another one starts it again.
const SCRAPES: &str = "foreshard.dev/scrapes";

/// Everything that makes up the Prometheus.
pub struct Parts<'a> {
    wanted: &'a Wanted,
    owner: &'a OwnerReference,
    prometheus: &'a ManagedPrometheus,
}

impl<'a> Parts<'a> {
    /// None where none is to be made.
    #[must_use]
    pub fn of(wanted: &'a Wanted, owner: &'a OwnerReference) -> Option<Self> {
        let prometheus = wanted.spec.monitoring.as_ref()?.managed.as_ref()?;
        Some(Self {
            wanted,
            owner,
            prometheus,
        })
    }

    fn name(&self) -> String {
        self.wanted.names.prometheus()
    }

    fn labels(&self) -> Labels {
        self.wanted.names.component(PROMETHEUS)
    }

    fn meta(&self) -> ObjectMeta {
        let namespace = &self.wanted.names.namespace;
        workload::meta(self.owner, namespace, self.name(), self.labels())
    }

    /// What it scrapes.
    #[must_use]
    pub fn configuration(&self) -> ConfigMap {
        let text = scrapes::configuration(&self.wanted.names);
        ConfigMap {
            metadata: self.meta(),
            data: Some([(FILE.to_owned(), text)].into()),
            ..ConfigMap::default()
        }
    }

    /// As whom it looks for pods.
    #[must_use]
    pub fn account(&self) -> ServiceAccount {
        ServiceAccount {
            metadata: self.meta(),
            automount_service_account_token: Some(false),
            ..ServiceAccount::default()
        }
    }

    /// It may look at pods of the namespace, and at nothing else.
    #[must_use]
    pub fn role(&self) -> Role {
        let verbs = ["get", "list", "watch"];
        Role {
            metadata: self.meta(),
            rules: Some(vec![PolicyRule {
                api_groups: Some(vec![String::new()]),
                resources: Some(vec!["pods".to_owned()]),
                verbs: verbs.map(str::to_owned).into(),
                ..PolicyRule::default()
            }]),
        }
    }

    /// That the account has the role.
    #[must_use]
    pub fn binding(&self) -> RoleBinding {
        RoleBinding {
            metadata: self.meta(),
            role_ref: RoleRef {
                api_group: "rbac.authorization.k8s.io".to_owned(),
                kind: "Role".to_owned(),
                name: self.name(),
            },
            subjects: Some(vec![Subject {
                kind: "ServiceAccount".to_owned(),
                name: self.name(),
                namespace: Some(self.wanted.names.namespace.clone()),
                api_group: None,
            }]),
        }
    }

    /// Its volume. It has no owner: forecasts live on what was before.
    #[must_use]
    pub fn claim(&self) -> PersistentVolumeClaim {
        let storage = &self.prometheus.storage;
        let size = Quantity(storage.size.clone());
        PersistentVolumeClaim {
            metadata: ObjectMeta {
                owner_references: None,
                ..self.meta()
            },
            spec: Some(PersistentVolumeClaimSpec {
                access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
                storage_class_name: storage.storage_class_name.clone(),
                resources: Some(VolumeResourceRequirements {
                    requests: Some([("storage".to_owned(), size)].into()),
                    limits: None,
                }),
                ..PersistentVolumeClaimSpec::default()
            }),
            status: None,
        }
    }

    /// The program.
    #[must_use]
    pub fn deployment(&self) -> Deployment {
        let text = scrapes::configuration(&self.wanted.names);
        let annotations = [(SCRAPES.to_owned(), digest::short(&text))];
        let selector = self.wanted.names.selector(PROMETHEUS);
        Deployment {
            metadata: self.meta(),
            spec: Some(DeploymentSpec {
                replicas: Some(1),
                selector: workload::selects(&selector),
                // Two never write to one volume.
                strategy: Some(DeploymentStrategy {
                    type_: Some("Recreate".to_owned()),
                    rolling_update: None,
                }),
                revision_history_limit: Some(2),
                template: PodTemplateSpec {
                    metadata: Some(ObjectMeta {
                        labels: Some(self.labels()),
                        annotations: Some(annotations.into()),
                        ..ObjectMeta::default()
                    }),
                    spec: Some(self.pod()),
                },
                ..DeploymentSpec::default()
            }),
            status: None,
        }
    }

    fn pod(&self) -> PodSpec {
        let images = &self.wanted.spec.images;
        let policy = images.pull_policy.name();
        let args = [
            format!("--config.file={CONFIGURATION}/{FILE}"),
            format!("--storage.tsdb.path={SAMPLES}"),
            format!(
                "--storage.tsdb.retention.time={}d",
                self.prometheus.retention_days
            ),
            format!("--web.listen-address=:{PORT}"),
        ];
        let container = Container {
            command: Some(vec!["/bin/prometheus".to_owned()]),
            args: Some(args.into()),
            ports: Some(vec![workload::port("web", PORT)]),
            resources: Some(workload::requirements(&self.prometheus.resources)),
            // It reads what it had before it answers.
            startup_probe: Some(workload::probe("/-/ready", "web", 2, 450)),
            liveness_probe: Some(workload::probe("/-/healthy", "web", 10, 6)),
            readiness_probe: Some(workload::probe("/-/ready", "web", 5, 3)),
            volume_mounts: Some(vec![
                workload::read_only("configuration", CONFIGURATION),
                workload::mount("samples", SAMPLES),
            ]),
            ..workload::confined(PROMETHEUS, &self.prometheus.image, policy)
        };
        let volume = |name: &str| Volume {
            name: name.to_owned(),
            ..Volume::default()
        };
        let configuration = ConfigMapVolumeSource {
            name: self.name(),
            ..ConfigMapVolumeSource::default()
        };
        let samples = PersistentVolumeClaimVolumeSource {
            claim_name: self.name(),
            ..PersistentVolumeClaimVolumeSource::default()
        };
        PodSpec {
            service_account_name: Some(self.name()),
            automount_service_account_token: Some(true),
            containers: vec![container],
            image_pull_secrets: workload::pull_secrets(&images.pull_secrets),
            volumes: Some(vec![
                Volume {
                    config_map: Some(configuration),
                    ..volume("configuration")
                },
                Volume {
                    persistent_volume_claim: Some(samples),
                    ..volume("samples")
                },
            ]),
            ..workload::restricted(USER)
        }
    }

    /// Its address.
    #[must_use]
    pub fn service(&self) -> Service {
        Service {
            metadata: self.meta(),
            spec: Some(ServiceSpec {
                selector: Some(self.wanted.names.selector(PROMETHEUS)),
                type_: Some("ClusterIP".to_owned()),
                ports: Some(vec![ServicePort {
                    name: Some("web".to_owned()),
                    port: PORT,
                    protocol: Some("TCP".to_owned()),
                    target_port: Some(IntOrString::String("web".to_owned())),
                    ..ServicePort::default()
                }]),
                ..ServiceSpec::default()
            }),
            status: None,
        }
    }

    /// By which ScalingPolicies of the namespace read it: of the cluster's name.
    #[must_use]
    pub fn source(&self) -> PrometheusSource {
        let names = &self.wanted.names;
        let url = format!("http://{}:{PORT}", names.host(&self.name()));
        let mut source = PrometheusSource::new(&names.name, PrometheusSourceSpec::new(url));
        source.metadata = ObjectMeta {
            name: Some(names.name.clone()),
            ..self.meta()
        };
        source
    }
}
