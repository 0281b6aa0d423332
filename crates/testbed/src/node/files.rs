//! Configuration and manifests of a node, from templates beside this file.

use std::fs;
use std::path::Path;

use crate::bed::{Bed, BedError};

use super::{NODE, Network, Programs};

/// What is applied once the node is ready.
pub(super) const MANIFESTS: [&str; 2] = ["coredns.yaml", "local-path.yaml"];

const TEMPLATES: [(&str, &str); 6] = [
    ("containerd.toml", include_str!("containerd.toml")),
    ("cni/10-bridge.conflist", include_str!("bridge.conflist")),
    ("kubelet.yaml", include_str!("kubelet.yaml")),
    ("kube-proxy.yaml", include_str!("kube-proxy.yaml")),
    ("coredns.yaml", include_str!("coredns.yaml")),
    ("local-path.yaml", include_str!("local-path.yaml")),
];

/// Fills the templates in, into the folder `node` of the bed.
pub(super) fn write(bed: &Bed, network: &Network, programs: &Programs) -> Result<(), BedError> {
    let run = bed.subfolder("node", None)?;
    for folder in ["cni", "volumes", "static", "pods", "kubelet"] {
        bed.subfolder(&format!("node/{folder}"), None)?;
    }
    let pki = bed.subfolder("pki", None)?;
    let shown = |path: &Path| path.display().to_string();
    let values = [
        ("@RUN@", shown(&run)),
        ("@PKI@", shown(&pki)),
        (
            "@SOCKET@",
            shown(&network.run_folder().join("containerd.sock")),
        ),
        ("@SHIMS@", shown(&network.run_folder().join("s"))),
        ("@CNI@", shown(&programs.cni.folder().join("bin"))),
        ("@RUNC@", shown(&programs.runc.program("runc"))),
        ("@GROUP@", format!("/{}", network.label())),
        ("@NODE@", NODE.to_owned()),
        ("@PODS@", network.pods()),
        ("@SERVICES@", network.services()),
        (
            "@PROXY_KUBECONFIG@",
            shown(&pki.join("kube-proxy.kubeconfig")),
        ),
    ];
    for (name, template) in TEMPLATES {
        let text = values.iter().fold(template.to_owned(), |text, (from, to)| {
            text.replace(from, to)
        });
        let path = run.join(name);
        fs::write(&path, text).map_err(BedError::file(&path))?;
    }
    let resolver = run.join("resolv.conf");
    fs::write(&resolver, "nameserver 127.0.0.1\n").map_err(BedError::file(&resolver))
}
