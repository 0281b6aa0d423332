//! A real API server with our definitions, and our service in front of it.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use foreshard_operator::access::{AccessSettings, KubeAccess};
use foreshard_operator::api::KubeOrders;
use foreshard_operator::module_store::{KubeModules, LargeStore};
use foreshard_policy::{Compiler, Host, HostConfig};
use foreshard_server::{ActivationBy, Hosted, Hub, Limits, Ports, app};
use foreshard_testbed::{ControlPlane, or_left_out};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub(crate) const AUDIENCE: &str = "foreshard";

/// What an answer was.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) json: Value,
}

/// One test's namespace in the shared cluster.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) plane: &'static ControlPlane,
    _namespace: foreshard_testbed::Namespace<'static>,
}

impl Cluster {
    /// None: there are no real parts here.
    pub(crate) async fn new() -> Option<Self> {
        let plane = or_left_out("control plane", ControlPlane::shared())?;
        static DEFINED: OnceLock<()> = OnceLock::new();
        DEFINED.get_or_init(|| define(plane));
        let read = Kubeconfig::read_from(plane.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(read, &options).await;
        let client = Client::try_from(config.unwrap()).unwrap();
        let namespace = plane.namespace("ports").unwrap();
        Some(Self {
            client,
            name: namespace.name().to_owned(),
            plane,
            _namespace: namespace,
        })
    }

    /// Our service, as an operator has it.
    pub(crate) fn hub(&self, large: Option<LargeStore>) -> Arc<Hub> {
        static HOST: OnceLock<Arc<Host>> = OnceLock::new();
        let host =
            HOST.get_or_init(|| Arc::new(Host::new(HostConfig::new(Compiler::InProcess)).unwrap()));
        let ports = Ports {
            access: Arc::new(self.access()),
            policies: Arc::new(Hosted(Arc::clone(host))),
            modules: Arc::new(self.modules(large)),
            activation: ActivationBy::Patch,
            orders: Some(Arc::new(KubeOrders::new(self.client.clone()))),
            backtests: None,
            host_names: vec![],
        };
        Hub::new(ports, [], Limits::DEFAULT)
    }

    /// Without answers that hold for a while, so that what changes is seen.
    pub(crate) fn access(&self) -> KubeAccess {
        let settings = AccessSettings {
            kept: Duration::ZERO,
            ..AccessSettings::default()
        };
        KubeAccess::new(self.client.clone(), settings)
    }

    pub(crate) fn modules(&self, large: Option<LargeStore>) -> KubeModules {
        KubeModules::new(self.client.clone(), large, vec![])
    }

    /// A service account that may do this with our resources.
    pub(crate) fn account(&self, name: &str, rules: &[(&str, &[&str])]) {
        let api = self.plane.api();
        let path = |group: &str, resource| format!("/{group}/namespaces/{}/{resource}", self.name);
        let metadata = json!({ "name": name });
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata });
        api.post(&path("api/v1", "serviceaccounts"), &account)
            .unwrap();
        let rules: Vec<_> = rules
            .iter()
            .map(|(resource, verbs)| {
                json!({ "apiGroups": ["foreshard.dev"], "resources": [resource], "verbs": verbs })
            })
            .collect();
        const RBAC: &str = "rbac.authorization.k8s.io";
        let version = format!("{RBAC}/v1");
        let role =
            json!({ "apiVersion": version, "kind": "Role", "metadata": metadata, "rules": rules });
        let group = format!("apis/{version}");
        api.post(&path(&group, "roles"), &role).unwrap();
        let binding = json!({
            "apiVersion": version, "kind": "RoleBinding", "metadata": metadata,
            "roleRef": { "apiGroup": RBAC, "kind": "Role", "name": name },
            "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": self.name }],
        });
        api.post(&path(&group, "rolebindings"), &binding).unwrap();
    }

    /// A token for the audiences; none: for the API server itself.
    pub(crate) async fn token(&self, account: &str, audiences: &[&str]) -> String {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.name);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: audiences.iter().map(|it| (*it).to_owned()).collect(),
                expiration_seconds: Some(600),
                bound_object_ref: None,
            },
            ..TokenRequest::default()
        };
        let parameters = PostParams::default();
        let made = accounts.create_token_request(account, &parameters, &request);
        made.await.unwrap().status.unwrap().token
    }

    /// Asks our service; `~` stands for the namespace's path.
    pub(crate) async fn ask(
        &self,
        hub: &Arc<Hub>,
        token: &str,
        method: &str,
        path: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let path = path.replace('~', &format!("/api/v1/namespaces/{}", self.name));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"));
        let request = match method {
            "POST" => request.header("content-type", "application/json"),
            _ => request,
        };
        let request = request.body(body.into()).unwrap();
        let response = app(Arc::clone(hub)).oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 64 << 20)
            .await
            .unwrap();
        Answer {
            status,
            json: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }
}

/// Our definitions, and until they are served.
fn define(plane: &ControlPlane) {
    const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let api = plane.api();
    for definition in foreshard_api::crds() {
        api.post(PATH, &serde_json::to_value(&definition).unwrap())
            .unwrap();
        let plural = definition.spec.names.plural;
        let begun = Instant::now();
        while let Err(error) = api.get(&format!("/apis/foreshard.dev/v1alpha1/{plural}")) {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{plural}: {error}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
