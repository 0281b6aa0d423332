//! A real Kubernetes control plane: etcd, API server, controller manager and scheduler, and fake nodes where asked for.

mod cluster;
mod kubeconfig;
mod pki;
mod processes;

use std::env;
use std::ffi::{OsStr, OsString};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{Api, ApiError};
use crate::bed::Bed;
use crate::error::Error;
use crate::{guard, parts};
pub(crate) use cluster::Cluster;
use processes::Layout;

/// How long each step of coming up may take on a machine that is busy otherwise: about ten times what it takes.
const LIMIT: Duration = Duration::from_secs(90);

/// The fake nodes that a bed of kind `kwok` begins with.
pub const FAKE_NODES: u32 = 3;

/// A control plane that is ready; it ends with this value, unless it is somebody else's.
#[derive(Debug)]
pub struct ControlPlane {
    /// `None` for a cluster that was there before.
    bed: Option<Bed>,
    api: Api,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
}

/// Where the programs are.
#[derive(Debug)]
struct Programs {
    etcd: PathBuf,
    kube_apiserver: PathBuf,
    kube_controller_manager: PathBuf,
    kube_scheduler: PathBuf,
    kubectl: PathBuf,
}

impl Programs {
    /// Those of `KUBEBUILDER_ASSETS` first, the test bed's own for the rest.
    fn find() -> Result<Self, Error> {
        let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let find = |part: &str, program: &str| -> Result<PathBuf, Error> {
            let given = assets.as_ref().map(|folder| folder.join(program));
            match given.filter(|path| path.is_file()) {
                Some(path) => Ok(path),
                None => Ok(parts::find(part)?.program(program)),
            }
        };
        Ok(Self {
            etcd: find("etcd", "etcd")?,
            kube_apiserver: find("kubernetes", "kube-apiserver")?,
            kube_controller_manager: find("kubernetes", "kube-controller-manager")?,
            kube_scheduler: find("kubernetes", "kube-scheduler")?,
            kubectl: find("kubernetes", "kubectl")?,
        })
    }
}

impl ControlPlane {
    /// One of its own for this test, or the cluster that `FORESHARD_TESTBED` names (`kind`; `kubeconfig` for that of
    /// `KUBECONFIG`; a `KUBECONFIG` alone is not enough, because it may well be a cluster that others depend on).
    ///
    /// # Errors
    /// Programs that are missing, a part that does not become ready.
    pub fn start() -> Result<Self, Error> {
        match env::var("FORESHARD_TESTBED").as_deref() {
            Ok("kind") => Self::kind(),
            Ok("kubeconfig") => Self::of_kubeconfig(),
            Ok("" | "off") | Err(_) => {
                // Before anything is made: what is missing is to be said at once.
                Programs::find()?;
                Self::start_in(Bed::unique("control-plane")?)
            }
            Ok(other) => Err(Error::Elsewhere(format!(
                "FORESHARD_TESTBED is `{other}`; it can be `kind` or `kubeconfig`"
            ))),
        }
    }

    /// The one that all tests of this process share: each keeps to a [`namespace`](Self::namespace) of its own.
    ///
    /// # Errors
    /// As [`start`](Self::start); the same for every caller.
    pub fn shared() -> Result<&'static Self, &'static Error> {
        static SHARED: OnceLock<Result<ControlPlane, Error>> = OnceLock::new();
        let start = || {
            let plane = Self::start()?;
            if let Some(bed) = &plane.bed {
                guard::watch(bed)?;
            }
            Ok(plane)
        };
        SHARED.get_or_init(start).as_ref()
    }

    /// Starts one in an empty bed.
    ///
    /// # Errors
    /// As [`start`](Self::start); the bed is then ended.
    pub fn start_in(bed: Bed) -> Result<Self, Error> {
        Ok(Self::start_with_keys(bed, Cluster::without_nodes())?.0)
    }

    /// Starts one for a real node of this name and address, in a bed that has parts already; the node's keys and
    /// kubeconfigs (`kubelet`, `kube-proxy`) are in the bed's folder `pki`.
    pub(crate) fn start_for_node(
        bed: Bed,
        cluster: Cluster,
        name: &str,
        address: Ipv4Addr,
    ) -> Result<Self, Error> {
        let (plane, layout) = Self::start_with_keys(bed, cluster)?;
        layout.node(name, address)?;
        Ok(plane)
    }

    /// Whether its programs are there.
    pub(crate) fn find_programs() -> Result<(), Error> {
        Programs::find().map(drop)
    }

    fn start_with_keys(mut bed: Bed, cluster: Cluster) -> Result<(Self, Layout), Error> {
        let programs = Programs::find()?;
        let layout = Layout::create(&mut bed, cluster)?;
        let api = layout.api()?;
        for spec in [
            processes::etcd(&mut bed, &programs)?,
            processes::kube_apiserver(&mut bed, &programs, &layout)?,
        ] {
            bed.spawn(spec)?;
        }
        bed.wait_until("kube-apiserver", "answering /readyz", LIMIT, || {
            api.text("/readyz").map(drop).map_err(shown)
        })?;
        for spec in [
            processes::kube_controller_manager(&mut bed, &programs, &layout)?,
            processes::kube_scheduler(&mut bed, &programs, &layout)?,
        ] {
            bed.spawn(spec)?;
        }
        let manager = "kube-controller-manager";
        bed.wait_until(manager, "making the default service account", LIMIT, || {
            let path = "/api/v1/namespaces/default/serviceaccounts/default";
            api.get(path).map(drop).map_err(shown)
        })?;
        let scheduler = layout.stranger(bed.port("kube-scheduler")?)?;
        bed.wait_until("kube-scheduler", "answering /readyz", LIMIT, || {
            scheduler.text("/readyz").map(drop).map_err(shown)
        })?;
        let etcd = format!("http://127.0.0.1:{}", bed.port("etcd-client")?);
        bed.set_fact("etcd", etcd)?;
        let kubeconfig = layout.kubeconfig("admin");
        bed.set_fact("kubeconfig", kubeconfig.display().to_string())?;
        bed.set_fact("server", api.server())?;
        let kubectl = programs.kubectl.display().to_string();
        bed.set_fact("kubectl", kubectl)?;
        let plane = Self {
            bed: Some(bed),
            api,
            kubeconfig,
            kubectl: programs.kubectl,
        };
        Ok((plane, layout))
    }

    /// Starts one in an empty bed, with [`FAKE_NODES`] nodes of kwok.
    ///
    /// # Errors
    /// As [`start_in`](Self::start_in).
    pub fn start_with_fake_nodes_in(bed: Bed) -> Result<Self, Error> {
        let kwok = parts::find("kwok")?;
        let (mut plane, layout) = Self::start_with_keys(bed, Cluster::without_nodes())?;
        plane.add_fake_nodes(&kwok, &layout)?;
        Ok(plane)
    }

    /// One of its own with [`FAKE_NODES`] nodes of kwok, on which pods run as far as the API knows.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with_fake_nodes() -> Result<Self, Error> {
        parts::find("kwok")?;
        Programs::find()?;
        Self::start_with_fake_nodes_in(Bed::unique("kwok")?)
    }

    /// The API server, with every right.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The file for other clients.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// `kubectl` with arguments, to be run.
    #[must_use]
    pub fn kubectl<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.kubectl);
        command
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null());
        command
    }

    /// `etcdctl` at its etcd, to change what is stored behind the API server's back; `None` for a cluster that was there
    /// before.
    #[must_use]
    pub fn etcdctl(&self) -> Option<Command> {
        let endpoint = self.bed.as_ref()?.fact("etcd")?;
        let mut command = Command::new(parts::find("etcd").ok()?.program("etcdctl"));
        command
            .arg(format!("--endpoints={endpoint}"))
            .stdin(Stdio::null());
        Some(command)
    }

    /// Its processes; `None` for a cluster that was there before.
    #[must_use]
    pub fn bed(&self) -> Option<&Bed> {
        self.bed.as_ref()
    }

    /// The Unix socket to which the API server goes by `CONNECT` when it wants to reach a pod or a service, in HTTP/1.1.
    /// Nothing is there unless a test listens; `None` for a cluster that was there before.
    #[must_use]
    pub fn way_to_services(&self) -> Option<PathBuf> {
        self.bed.as_ref().map(processes::way_to_services)
    }

    /// Its processes, to break them.
    pub fn bed_mut(&mut self) -> Option<&mut Bed> {
        self.bed.as_mut()
    }

    /// A new namespace for a test; it ends with the value.
    ///
    /// # Errors
    /// The API server's answer.
    pub fn namespace(&self, prefix: &str) -> Result<Namespace<'_>, ApiError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}-{}-{count}", std::process::id());
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.api.post("/api/v1/namespaces", &object)?;
        Ok(Namespace {
            api: &self.api,
            name,
        })
    }

    /// Ends it, and says what could not be ended.
    ///
    /// # Errors
    /// What is left behind.
    pub fn down(self) -> Result<(), Error> {
        match self.bed {
            Some(bed) => Ok(bed.down()?),
            None => Ok(()),
        }
    }

    /// Takes the bed out, to be kept.
    ///
    /// # Errors
    /// It is a cluster that was there before.
    pub fn into_bed(self) -> Result<Bed, Error> {
        let elsewhere = || Error::Elsewhere("it is no bed".to_owned());
        self.bed.ok_or_else(elsewhere)
    }

    fn add_fake_nodes(&mut self, kwok: &parts::Built, layout: &Layout) -> Result<(), Error> {
        let Some(bed) = &mut self.bed else {
            return Ok(());
        };
        layout.component("kwok", "kwok", Some("system:masters"))?;
        let spec = processes::kwok(
            bed,
            &kwok.program("kwok"),
            &kwok.folder().join("share"),
            layout,
        )?;
        bed.spawn(spec)?;
        for number in 1..=FAKE_NODES {
            self.api.post("/api/v1/nodes", &fake_node(number))?;
        }
        let api = &self.api;
        bed.wait_until("kwok", "making the nodes ready", LIMIT, || {
            (1..=FAKE_NODES).try_for_each(|number| {
                let node = api
                    .get(&format!("/api/v1/nodes/kwok-{number}"))
                    .map_err(shown)?;
                is_ready(&node)
                    .then_some(())
                    .ok_or_else(|| format!("node kwok-{number} is not"))
            })
        })?;
        Ok(())
    }

    fn kind() -> Result<Self, Error> {
        let output = Command::new("kind")
            .args(["get", "kubeconfig"])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Error::Elsewhere(format!("kind: {error}")))?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::Elsewhere(message));
        }
        // An empty bed holds the file, so that it goes when the tests end.
        let bed = Bed::unique("kind")?;
        let folder = bed.subfolder("pki", None)?;
        let text = String::from_utf8_lossy(&output.stdout);
        pki::write(&folder, "admin.kubeconfig", &text)?;
        let plane = Self::elsewhere(folder.join("admin.kubeconfig"))?;
        Ok(Self {
            bed: Some(bed),
            ..plane
        })
    }

    fn of_kubeconfig() -> Result<Self, Error> {
        let path = env::var_os("KUBECONFIG")
            .filter(|path| !path.is_empty())
            .ok_or_else(|| Error::Elsewhere("KUBECONFIG is not set".to_owned()))?;
        Self::elsewhere(PathBuf::from(path))
    }

    fn elsewhere(kubeconfig: PathBuf) -> Result<Self, Error> {
        let own = parts::find("kubernetes").map(|built| built.program("kubectl"));
        let kubectl = own.unwrap_or_else(|_| PathBuf::from("kubectl"));
        let api = kubeconfig::api_of(&kubectl, &kubeconfig)?;
        api.text("/readyz")
            .map_err(|error| Error::Elsewhere(error.to_string()))?;
        Ok(Self {
            bed: None,
            api,
            kubeconfig,
            kubectl,
        })
    }
}

/// A namespace that is deleted with this value.
#[derive(Debug)]
pub struct Namespace<'a> {
    api: &'a Api,
    name: String,
}

impl Namespace<'_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path of a resource in it, such as `apis/apps/v1` and `deployments`.
    #[must_use]
    pub fn path(&self, group_version: &str, resource: &str) -> String {
        format!("/{group_version}/namespaces/{}/{resource}", self.name)
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        // The cluster may be gone already, with everything in it.
        let _ = self
            .api
            .delete(&format!("/api/v1/namespaces/{}", self.name));
    }
}

/// The environment that a shell for a kubeconfig has.
#[must_use]
pub fn shell_environment(kubeconfig: &Path, kubectl: &Path) -> Vec<(OsString, OsString)> {
    let mut folders: Vec<PathBuf> = kubectl.parent().map(Path::to_owned).into_iter().collect();
    let path = env::var_os("PATH").unwrap_or_default();
    folders.extend(env::split_paths(&path));
    let mut environment = vec![("KUBECONFIG".into(), kubeconfig.into())];
    if let Ok(path) = env::join_paths(folders) {
        environment.push(("PATH".into(), path));
    }
    environment
}

fn fake_node(number: u32) -> Value {
    let name = format!("kwok-{number}");
    let room = json!({"cpu": "32", "memory": "256Gi", "pods": "110"});
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/zone": format!("zone-{number}"),
                "type": "kwok",
            },
        },
        "status": {"allocatable": room, "capacity": room},
    })
}

fn is_ready(node: &Value) -> bool {
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
    conditions.is_some_and(|conditions| {
        conditions
            .iter()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    })
}

fn shown(error: ApiError) -> String {
    error.to_string()
}
