//! The command lines of a node. All of them live in the node's network namespace.

use std::path::Path;
use std::time::Duration;

use crate::bed::{Bed, PartSpec};

use super::{NODE, Network, Programs};

const AT_ONCE: Duration = Duration::ZERO;

pub(super) fn containerd(bed: &Bed, network: &Network, programs: &Programs) -> PartSpec {
    let config = bed.folder().join("node/containerd.toml");
    PartSpec::new("containerd", programs.containerd.program("containerd"))
        .args(["--config".to_owned(), config.display().to_string()])
        .env("PATH", path(programs))
        .netns(network.namespace())
        .grace(AT_ONCE)
}

/// Gives containerd an image; once it answers.
pub(super) fn import(network: &Network, programs: &Programs, archive: &Path) -> PartSpec {
    let name = archive
        .file_stem()
        .map(|name| name.to_string_lossy().into_owned());
    PartSpec::new(
        format!("import-{}", name.unwrap_or_default()),
        programs.containerd.program("ctr"),
    )
    .arg("--address")
    .arg(
        network
            .run_folder()
            .join("containerd.sock")
            .display()
            .to_string(),
    )
    .args([
        "--namespace",
        "k8s.io",
        "--connect-timeout",
        "60s",
        "images",
        "import",
    ])
    .arg(archive.display().to_string())
}

pub(super) fn kubelet(bed: &Bed, network: &Network, programs: &Programs) -> PartSpec {
    let file = |name: &str| bed.folder().join(name).display().to_string();
    PartSpec::new("kubelet", programs.kubernetes.program("kubelet"))
        .args([
            format!("--config={}", file("node/kubelet.yaml")),
            format!("--kubeconfig={}", file("pki/kubelet.kubeconfig")),
            format!("--hostname-override={NODE}"),
            format!("--node-ip={}", network.node()),
            format!("--root-dir={}", file("node/kubelet")),
            format!("--cert-dir={}", file("pki")),
        ])
        .env("PATH", path(programs))
        .netns(network.namespace())
        .grace(AT_ONCE)
}

pub(super) fn kube_proxy(bed: &Bed, network: &Network, programs: &Programs) -> PartSpec {
    let config = bed.folder().join("node/kube-proxy.yaml");
    PartSpec::new("kube-proxy", programs.kubernetes.program("kube-proxy"))
        .arg(format!("--config={}", config.display()))
        .env("PATH", path(programs))
        .netns(network.namespace())
        .grace(AT_ONCE)
}

/// The node's own programs before those of this machine.
fn path(programs: &Programs) -> String {
    let own = [&programs.containerd, &programs.runc, &programs.nftables];
    let mut folders: Vec<String> = own
        .iter()
        .map(|built| built.folder().join("bin").display().to_string())
        .collect();
    folders.push(std::env::var("PATH").unwrap_or_default());
    folders.join(":")
}
