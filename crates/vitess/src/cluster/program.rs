//! A program of Vitess that keeps nothing: a Deployment and its disruption budget.

use foreshard_api::v1alpha1::compute::{Placement, Resources};
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{
    Container, ContainerPort, PodSpec, PodTemplateSpec, Volume, VolumeMount,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::backup::store::{Access, Store};
use crate::cluster::flags::{TLS, TOPOLOGY};
use crate::cluster::names::{Labels, WEB_PORT};
use crate::cluster::wanted::Wanted;
use crate::workload;

/// The user of `vitess/lite`, and of MySQL's image.
pub(crate) const USER: i64 = 999;

/// A program and how it runs.
pub(crate) struct Program<'a> {
    /// Its name, below `/vt/bin`.
    pub(crate) program: &'static str,
    /// Name of its objects.
    pub(crate) name: String,
    /// Labels that select its pods, and no others.
    pub(crate) selector: Labels,
    /// Labels beside those of everything.
    pub(crate) labels: Labels,
    pub(crate) args: Vec<String>,
    pub(crate) ports: Vec<ContainerPort>,
    pub(crate) replicas: i32,
    pub(crate) resources: &'a Resources,
    pub(crate) placement: &'a Placement,
    pub(crate) zone: Option<&'a str>,
    /// Secrets beside its certificate and the topology's: volume, Secret, path.
    pub(crate) secrets: Vec<(&'static str, String, &'static str)>,
    /// Where backups are, for one that reads them.
    pub(crate) store: Option<Store<'a>>,
    /// Seconds that it gets to end.
    pub(crate) grace_seconds: i64,
}

impl Program<'_> {
    /// Its Deployment.
    pub(crate) fn deployment(&self, wanted: &Wanted, owner: &OwnerReference) -> Deployment {
        let mut labels = wanted.names.component(self.program);
        labels.extend(self.labels.clone());
        let namespace = &wanted.names.namespace;
        let template = PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(labels.clone()),
                ..ObjectMeta::default()
            }),
            spec: Some(self.pod(wanted)),
        };
        Deployment {
            metadata: workload::meta(owner, namespace, self.name.clone(), labels),
            spec: Some(DeploymentSpec {
                replicas: Some(self.replicas),
                selector: workload::selects(&self.selector),
                // One more comes before one goes: a lone one is not missed.
                strategy: Some(DeploymentStrategy {
                    type_: Some("RollingUpdate".to_owned()),
                    rolling_update: Some(RollingUpdateDeployment {
                        max_surge: Some(IntOrString::Int(1)),
                        max_unavailable: Some(IntOrString::Int(0)),
                    }),
                }),
                revision_history_limit: Some(2),
                template,
                ..DeploymentSpec::default()
            }),
            status: None,
        }
    }

    /// One may go at a time.
    pub(crate) fn budget(&self, wanted: &Wanted, owner: &OwnerReference) -> PodDisruptionBudget {
        let mut labels = wanted.names.component(self.program);
        labels.extend(self.labels.clone());
        let namespace = &wanted.names.namespace;
        PodDisruptionBudget {
            metadata: workload::meta(owner, namespace, self.name.clone(), labels),
            spec: Some(PodDisruptionBudgetSpec {
                max_unavailable: Some(IntOrString::Int(1)),
                selector: Some(workload::selects(&self.selector)),
                unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
                ..PodDisruptionBudgetSpec::default()
            }),
            status: None,
        }
    }

    fn pod(&self, wanted: &Wanted) -> PodSpec {
        let images = &wanted.spec.images;
        let certificate = wanted.names.certificate(self.program);
        let mut volumes = vec![
            workload::secret("tls", &certificate),
            // Programs of Vitess write what they log of a crash there.
            workload::scratch("tmp"),
        ];
        let mut mounts = vec![
            workload::read_only("tls", TLS),
            workload::mount("tmp", "/tmp"),
        ];
        topology(wanted, &mut volumes, &mut mounts);
        for (volume, secret, path) in &self.secrets {
            volumes.push(workload::secret(volume, secret));
            mounts.push(workload::read_only(volume, path));
        }
        let mut ports = vec![workload::port("web", WEB_PORT)];
        ports.extend(self.ports.clone());
        let policy = images.pull_policy.name();
        let container = Container {
            command: Some(vec![format!("/vt/bin/{}", self.program)]),
            args: Some(self.args.clone()),
            ports: Some(ports),
            resources: Some(workload::requirements(self.resources)),
            startup_probe: Some(workload::probe("/debug/health", "web", 1, 120)),
            liveness_probe: Some(workload::probe("/debug/liveness", "web", 10, 6)),
            readiness_probe: Some(workload::probe("/debug/health", "web", 2, 3)),
            volume_mounts: Some(mounts),
            ..workload::confined(self.program, &wanted.vitess_image(), policy)
        };
        let mut pod = PodSpec {
            containers: vec![container],
            volumes: Some(volumes),
            image_pull_secrets: workload::pull_secrets(&images.pull_secrets),
            termination_grace_period_seconds: Some(self.grace_seconds),
            ..workload::restricted(USER)
        };
        workload::place(&mut pod, self.placement, self.zone, &self.selector);
        if let Some(store) = &self.store {
            store.attach(&mut pod, self.program, Access::RunsWithout);
        }
        pod
    }
}

/// What the topology asks clients for.
pub(crate) fn topology(wanted: &Wanted, volumes: &mut Vec<Volume>, mounts: &mut Vec<VolumeMount>) {
    if let Some(secret) = &wanted.topology.secret_name {
        volumes.push(workload::secret("topology", secret));
        mounts.push(workload::read_only("topology", TOPOLOGY));
    }
}
