//! A real Kubernetes node: containerd, runc, kubelet, kube-proxy, bridge networking, DNS and storage, in a network
//! namespace of its own.
//!
//! Several beds can have one side by side: each takes a [`Network`] of its own. Needs root.

mod control_groups;
mod cut;
mod files;
mod images;
mod network;
mod processes;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::bed::{Bed, BedError};
use crate::control_plane::ControlPlane;
use crate::error::Error;
use crate::image::Image;
use crate::{guard, home, parts};
pub use cut::{CutOff, Delayed};
pub use network::Network;

/// How long each step of coming up may take on a machine that is busy otherwise: about ten times what it takes.
const LIMIT: Duration = Duration::from_secs(180);

/// The node's name.
pub const NODE: &str = "node1";

/// An image with busybox that every node has.
pub const BUSYBOX: &str = "docker.io/local/busybox:1";

/// A control plane with one real node, with DNS and storage; it ends with this value.
#[derive(Debug)]
pub struct Node {
    plane: ControlPlane,
    network: Network,
    programs: Programs,
}

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    kubernetes: parts::Built,
    containerd: parts::Built,
    runc: parts::Built,
    cni: parts::Built,
    nftables: parts::Built,
    busybox: parts::Built,
    coredns: parts::Built,
    storage: parts::Built,
}

impl Programs {
    fn find() -> Result<Self, Error> {
        Ok(Self {
            kubernetes: parts::find("kubernetes-node")?,
            containerd: parts::find("containerd")?,
            runc: parts::find("runc")?,
            cni: parts::find("cni-plugins")?,
            nftables: parts::find("nftables")?,
            busybox: parts::find("busybox")?,
            coredns: parts::find("coredns")?,
            storage: parts::find("local-path-provisioner")?,
        })
    }
}

impl Node {
    /// One of its own for this test.
    ///
    /// # Errors
    /// Not root, programs that are missing, a part that does not become ready.
    pub fn start() -> Result<Self, Error> {
        // Before anything is made: what is missing is to be said at once.
        Programs::find()?;
        ControlPlane::find_programs()?;
        Self::start_in(Bed::unique("node")?)
    }

    /// The one that all tests of this process share.
    ///
    /// # Errors
    /// As [`start`](Self::start); the same for every caller.
    pub fn shared() -> Result<&'static Self, &'static Error> {
        static SHARED: OnceLock<Result<Node, Error>> = OnceLock::new();
        let start = || {
            let node = Self::start()?;
            if let Some(bed) = node.plane.bed() {
                guard::watch(bed)?;
            }
            Ok(node)
        };
        SHARED.get_or_init(start).as_ref()
    }

    /// Starts one in an empty bed.
    ///
    /// # Errors
    /// As [`start`](Self::start); the bed is then ended.
    pub fn start_in(mut bed: Bed) -> Result<Self, Error> {
        if !home::is_root() {
            return Err(BedError::NeedsRoot("a Kubernetes node".to_owned()).into());
        }
        let programs = Programs::find()?;
        let network = Network::create(&mut bed)?;
        control_groups::create(&mut bed, &network)?;
        files::write(&bed, &network, &programs)?;
        bed.spawn(processes::containerd(&bed, &network, &programs))?;
        // The images go in while the control plane comes up.
        let images = images::write(&bed, &programs)?;
        let plane = ControlPlane::start_for_node(bed, network.cluster(), NODE, network.node())?;
        let mut node = Self {
            plane,
            network,
            programs,
        };
        for image in &images {
            node.import_archive(image)?;
        }
        node.join()?;
        node.serve()?;
        Ok(node)
    }

    /// The control plane.
    #[must_use]
    pub fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// The control plane, to break its parts.
    pub fn plane_mut(&mut self) -> &mut ControlPlane {
        &mut self.plane
    }

    /// The node's addresses.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Gives the node an image; pods name it with `imagePullPolicy: Never` or `IfNotPresent`.
    ///
    /// # Errors
    /// A program of the image that cannot be read; containerd's answer.
    pub fn import(&mut self, image: &Image) -> Result<(), Error> {
        let bed = self.bed()?;
        let path = images::path(bed, image);
        image.write(&path).map_err(BedError::file(&path))?;
        self.import_archive(&path)
    }

    /// Cuts the node off from the control plane and from this machine, until the value is dropped.
    ///
    /// # Errors
    /// What nftables says.
    pub fn cut_off(&self) -> Result<CutOff, Error> {
        CutOff::new(self.network, self.programs.nftables.program("nft"))
    }

    /// Makes a round trip to the node take so much longer, until the value is dropped.
    ///
    /// # Errors
    /// A kernel without `netem`.
    pub fn delay(&self, delay: Duration) -> Result<Delayed, Error> {
        Delayed::new(self.network, delay)
    }

    /// Ends it, and says what could not be ended.
    ///
    /// # Errors
    /// What is left behind.
    pub fn down(self) -> Result<(), Error> {
        self.plane.down()
    }

    /// Takes the bed out, to be kept.
    ///
    /// # Errors
    /// As [`ControlPlane::into_bed`]; never, for a node.
    pub fn into_bed(self) -> Result<Bed, Error> {
        self.plane.into_bed()
    }

    fn bed(&mut self) -> Result<&mut Bed, Error> {
        // A node is never in a cluster that was there before.
        let none = || Error::Elsewhere("it has no node of the test bed".to_owned());
        self.plane.bed_mut().ok_or_else(none)
    }

    /// Gives the node the images of an archive, such as `cargo xtask image` writes.
    ///
    /// # Errors
    /// containerd's answer.
    pub fn import_archive(&mut self, path: &Path) -> Result<(), Error> {
        let spec = processes::import(&self.network, &self.programs, path);
        Ok(self.bed()?.run(spec, LIMIT)?)
    }

    /// Starts what makes it a node, and waits until it is one.
    fn join(&mut self) -> Result<(), Error> {
        let specs = {
            let (network, programs) = (&self.network, &self.programs);
            let bed = self
                .plane
                .bed()
                .ok_or_else(|| Error::Elsewhere(String::new()))?;
            [
                processes::kubelet(bed, network, programs),
                processes::kube_proxy(bed, network, programs),
            ]
        };
        for spec in specs {
            self.bed()?.spawn(spec)?;
        }
        let api = self.plane.api().clone();
        self.bed()?
            .wait_until("kubelet", "making the node ready", LIMIT, || {
                let node = api.get(&format!("/api/v1/nodes/{NODE}"));
                let node = node.map_err(|error| error.to_string())?;
                has_condition(&node, "Ready")
                    .then_some(())
                    .ok_or_else(|| last_message(&node))
            })?;
        Ok(())
    }

    /// DNS and storage.
    fn serve(&mut self) -> Result<(), Error> {
        let folder = self.bed()?.folder().to_owned();
        for manifest in files::MANIFESTS {
            self.apply(&folder.join("node").join(manifest))?;
        }
        let api = self.plane.api().clone();
        for (namespace, name) in [
            ("kube-system", "coredns"),
            ("local-path-storage", "local-path-provisioner"),
        ] {
            let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
            self.bed()?
                .wait_until("kubelet", &format!("running {name}"), LIMIT, || {
                    let object = api.get(&path).map_err(|error| error.to_string())?;
                    has_condition(&object, "Available")
                        .then_some(())
                        .ok_or_else(|| last_message(&object))
                })?;
        }
        Ok(())
    }

    fn apply(&self, manifest: &PathBuf) -> Result<(), Error> {
        let output = self
            .plane
            .kubectl(["apply", "--filename"])
            .arg(manifest)
            .output()
            .map_err(BedError::file(manifest))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Error::Manifest {
            path: manifest.clone(),
            said,
        })
    }
}

fn has_condition(object: &Value, kind: &str) -> bool {
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    conditions.is_some_and(|conditions| {
        conditions
            .iter()
            .any(|condition| condition["type"] == kind && condition["status"] == "True")
    })
}

/// What the object says of itself, for whoever waits in vain.
fn last_message(object: &Value) -> String {
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let failing = conditions.and_then(|all| all.iter().rfind(|one| one["status"] != "True"));
    match failing.and_then(|condition| condition["message"].as_str()) {
        Some(message) => message.to_owned(),
        None => "it says nothing of itself yet".to_owned(),
    }
}
