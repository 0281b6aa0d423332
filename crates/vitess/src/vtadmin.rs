//! VTAdmin for one cluster: a page that shows the cluster and changes nothing. It is built here, and nothing is asked.
//!
//! VTAdmin can show a certificate to vtctld, and none to a gateway: each of its pods has a gateway of its own, which
//! listens to that pod only.

use foreshard_api::v1alpha1::vitess::components::Component;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, Container, PodSpec, PodTemplateSpec, Service, ServicePort,
    ServiceSpec, Volume,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::cluster::flags::{self, TLS};
use crate::cluster::names::{GRPC_PORT, Labels, VTADMIN, WEB_PORT};
use crate::cluster::program::{USER, topology};
use crate::cluster::wanted::Wanted;
use crate::digest;
use crate::workload;

mod files;

/// Port of the page, and of what it asks below `/api`.
pub(crate) const PAGE_PORT: i32 = 14_201;
/// Where the gateway of a pod has its own pages.
const GATE_WEB_PORT: i32 = 15_001;
/// Where files are.
const FILES: &str = "/etc/foreshard/vtadmin";
/// On a pod: digest of the files, so that others start it again.
const DIGEST: &str = "foreshard.dev/files";

/// Everything that makes up VTAdmin.
pub struct Parts<'a> {
    wanted: &'a Wanted,
    owner: &'a OwnerReference,
    component: &'a Component,
}

impl<'a> Parts<'a> {
    /// None where none is to be made.
    #[must_use]
    pub fn of(wanted: &'a Wanted, owner: &'a OwnerReference) -> Option<Self> {
        let component = wanted.spec.vtadmin.as_ref()?;
        Some(Self {
            wanted,
            owner,
            component,
        })
    }

    fn labels(&self) -> Labels {
        self.wanted.names.component(VTADMIN)
    }

    fn selector(&self) -> Labels {
        self.wanted.names.selector(VTADMIN)
    }

    fn meta(&self) -> ObjectMeta {
        let names = &self.wanted.names;
        workload::meta(self.owner, &names.namespace, names.vtadmin(), self.labels())
    }

    /// What its programs read.
    #[must_use]
    pub fn configuration(&self) -> ConfigMap {
        ConfigMap {
            metadata: self.meta(),
            data: Some(files::all(&self.wanted.names)),
            ..ConfigMap::default()
        }
    }

    /// The program.
    #[must_use]
    pub fn deployment(&self) -> Deployment {
        let files = files::all(&self.wanted.names);
        let text: Vec<&str> = files.values().map(String::as_str).collect();
        let annotations = [(DIGEST.to_owned(), digest::short(&text.concat()))];
        Deployment {
            metadata: self.meta(),
            spec: Some(DeploymentSpec {
                replicas: Some(self.component.replicas),
                selector: workload::selects(&self.selector()),
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

    /// One may go at a time.
    #[must_use]
    pub fn budget(&self) -> PodDisruptionBudget {
        PodDisruptionBudget {
            metadata: self.meta(),
            spec: Some(PodDisruptionBudgetSpec {
                max_unavailable: Some(IntOrString::Int(1)),
                selector: Some(workload::selects(&self.selector())),
                unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
                ..PodDisruptionBudgetSpec::default()
            }),
            status: None,
        }
    }

    /// Its address.
    #[must_use]
    pub fn service(&self) -> Service {
        Service {
            metadata: self.meta(),
            spec: Some(ServiceSpec {
                selector: Some(self.selector()),
                type_: Some("ClusterIP".to_owned()),
                ports: Some(vec![ServicePort {
                    name: Some("http".to_owned()),
                    port: PAGE_PORT,
                    protocol: Some("TCP".to_owned()),
                    target_port: Some(IntOrString::String("http".to_owned())),
                    ..ServicePort::default()
                }]),
                ..ServiceSpec::default()
            }),
            status: None,
        }
    }

    fn pod(&self) -> PodSpec {
        let names = &self.wanted.names;
        let configuration = ConfigMapVolumeSource {
            name: names.vtadmin(),
            ..ConfigMapVolumeSource::default()
        };
        let mut volumes = vec![
            workload::secret("tls", &names.certificate(VTADMIN)),
            workload::scratch("tmp"),
            Volume {
                name: "files".to_owned(),
                config_map: Some(configuration),
                ..Volume::default()
            },
        ];
        let mut gate = self.gate();
        topology(
            self.wanted,
            &mut volumes,
            gate.volume_mounts.get_or_insert_default(),
        );
        let mut pod = PodSpec {
            containers: vec![self.api(), gate, self.page()],
            volumes: Some(volumes),
            image_pull_secrets: workload::pull_secrets(&self.wanted.spec.images.pull_secrets),
            termination_grace_period_seconds: Some(15),
            ..workload::restricted(USER)
        };
        workload::place(&mut pod, &self.component.placement, None, &self.selector());
        pod
    }

    fn container(&self, name: &str, image: &str, command: &str, args: Vec<String>) -> Container {
        let policy = self.wanted.spec.images.pull_policy.name();
        Container {
            command: Some(vec![command.to_owned()]),
            args: Some(args),
            resources: Some(workload::requirements(&self.component.resources)),
            volume_mounts: Some(vec![
                workload::read_only("tls", TLS),
                workload::read_only("files", FILES),
                workload::mount("tmp", "/tmp"),
            ]),
            ..workload::confined(name, image, policy)
        }
    }

    /// What answers the page's questions.
    fn api(&self) -> Container {
        let names = &self.wanted.names;
        let name = &names.name;
        let mut args = vec![
            // Reached by the page's server only, which lets nobody change anything.
            format!("--addr=127.0.0.1:{WEB_PORT}"),
            format!(
                "--cluster=id={name},name={name},discovery=staticfile,discovery-staticfile-path={FILES}/{}",
                files::DISCOVERY
            ),
            "--rbac".to_owned(),
            format!("--rbac-config={FILES}/{}", files::RULES),
            "--http-no-debug".to_owned(),
            "--http-tablet-url-tmpl=http://{{ .Tablet.Hostname }}:15000".to_owned(),
            format!("--vtctld-grpc-server-name={}", names.host(&names.vtctld())),
        ];
        args.extend(flags::asks_vtctld());
        self.container(
            VTADMIN,
            &self.wanted.vtadmin_image(),
            "/vt/bin/vtadmin",
            args,
        )
    }

    /// The gateway of the pod: by gRPC it is reached from the pod only, so that nobody needs a certificate.
    fn gate(&self) -> Container {
        let cells: Vec<&str> = self.wanted.spec.cells.iter().map(|it| &*it.name).collect();
        let args = [
            flags::topology(self.wanted),
            flags::asks_tablets(),
            vec![
                "--config-file-not-found-handling=ignore".to_owned(),
                "--log-format=json".to_owned(),
                format!("--port={GATE_WEB_PORT}"),
                "--grpc-bind-address=127.0.0.1".to_owned(),
                format!("--grpc-port={GRPC_PORT}"),
                "--service-map=grpc-vtgateservice".to_owned(),
                format!("--cell={}", cells.first().unwrap_or(&"")),
                format!("--cells-to-watch={}", cells.join(",")),
                "--tablet-types-to-wait=PRIMARY".to_owned(),
            ],
        ];
        Container {
            ports: Some(vec![workload::port("gate-web", GATE_WEB_PORT)]),
            startup_probe: Some(workload::probe("/debug/health", "gate-web", 1, 120)),
            liveness_probe: Some(workload::probe("/debug/liveness", "gate-web", 10, 6)),
            ..self.container(
                "vtgate",
                &self.wanted.vitess_image(),
                "/vt/bin/vtgate",
                args.concat(),
            )
        }
    }

    /// The page, and at the same address what it asks.
    fn page(&self) -> Container {
        let args = vec![
            "-c".to_owned(),
            format!("{FILES}/{}", files::SERVER),
            "-g".to_owned(),
            "daemon off;".to_owned(),
        ];
        Container {
            ports: Some(vec![workload::port("http", PAGE_PORT)]),
            // Ready are both: the page, and whoever answers it.
            readiness_probe: Some(workload::probe("/health", "http", 5, 3)),
            ..self.container(
                "page",
                &self.wanted.vtadmin_image(),
                "/usr/sbin/nginx",
                args,
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use foreshard_api::v1alpha1::Vitess;

    use super::*;

    #[test]
    fn a_page_with_a_gateway_of_its_own_that_may_only_look() {
        let text = include_str!("../../../examples/vitess/sharded.yaml");
        let object: Vitess = serde_saphyr::from_str(text).unwrap();
        let (wanted, owner) = (Wanted::parse(&object).unwrap(), workload::owner(&object));
        let parts = Parts::of(&wanted, &owner).unwrap();
        insta::assert_yaml_snapshot!("deployment", parts.deployment());
        insta::assert_yaml_snapshot!("configuration", parts.configuration());
        let rules = files::all(&wanted.names).remove(files::RULES).unwrap();
        // It runs what it explains.
        assert!(!rules.contains("VExplain"), "{rules}");
        assert!(
            !rules.contains('*') || !rules.contains("actions: [\"*\"]"),
            "{rules}"
        );
    }
}
