//! Who may depend on whom: dependencies point inward only.

use anyhow::Context as _;
use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use crate::shell;

/// What a crate may use of the others. ARCHITECTURE.md draws the same picture.
const EDGES: &[(&str, &[&str])] = &[
    // Pure: no clock, no I/O, no randomness.
    ("foreshard-forecast", &[]),
    ("foreshard-decide", &[]),
    (
        "foreshard-engine",
        &["foreshard-decide", "foreshard-forecast"],
    ),
    (
        "foreshard-sim",
        &["foreshard-decide", "foreshard-engine", "foreshard-forecast"],
    ),
    // Schema: what the cluster's objects look like.
    ("foreshard-api", &[]),
    // What controllers share; it knows no kind of ours.
    ("foreshard-controller", &[]),
    // Adapters: the world outside.
    ("foreshard-history", &["foreshard-forecast"]),
    ("foreshard-policy", &["foreshard-decide"]),
    ("foreshard-vtctld", &[]),
    ("foreshard-etcd", &[]),
    ("foreshard-builtin", &[]),
    ("foreshard-cli", &[]),
    ("foreshard-listener", &[]),
    ("foreshard-external", &["foreshard-listener"]),
    (
        "foreshard-server",
        &[
            "foreshard-decide",
            "foreshard-engine",
            "foreshard-forecast",
            "foreshard-listener",
            "foreshard-policy",
        ],
    ),
    (
        "foreshard-operator",
        &[
            "foreshard-api",
            "foreshard-controller",
            "foreshard-decide",
            "foreshard-engine",
            "foreshard-external",
            "foreshard-forecast",
            "foreshard-history",
            "foreshard-listener",
            "foreshard-policy",
            "foreshard-server",
        ],
    ),
    (
        "foreshard-vitess",
        &[
            "foreshard-api",
            "foreshard-controller",
            "foreshard-etcd",
            "foreshard-vtctld",
        ],
    ),
    // Guests: what runs inside the sandbox.
    ("foreshard-policy-sdk", &[]),
    ("policy-target-tracking", &["foreshard-policy-sdk"]),
    ("policy-forecast-headroom", &["foreshard-policy-sdk"]),
    ("policy-schedule", &["foreshard-policy-sdk"]),
    ("policy-hostile", &["foreshard-policy-sdk"]),
    // The binary wires everything together.
    (
        "foreshard",
        &[
            "foreshard-api",
            "foreshard-builtin",
            "foreshard-cli",
            "foreshard-decide",
            "foreshard-engine",
            "foreshard-external",
            "foreshard-forecast",
            "foreshard-history",
            "foreshard-listener",
            "foreshard-operator",
            "foreshard-policy",
            "foreshard-server",
            "foreshard-sim",
            "foreshard-vitess",
        ],
    ),
    // The plugin of kubectl stays small: objects, and nothing that decides.
    ("kubectl-foreshard", &["foreshard-api", "foreshard-cli"]),
    // Development only.
    ("foreshard-testbed", &["foreshard-vtctld"]),
    ("xtask", &["foreshard-api", "foreshard-testbed"]),
];

/// Crates that compute and nothing else.
pub(super) const PURE: &[&str] = &[
    "foreshard-forecast",
    "foreshard-decide",
    "foreshard-engine",
    "foreshard-sim",
];

/// What a pure crate cannot need.
const IMPURE: &[&str] = &[
    "tokio",
    "reqwest",
    "axum",
    "hyper",
    "wasmtime",
    "getrandom",
    "chrono",
    "tracing-subscriber",
];

/// Every edge that is not in the list.
pub(super) fn check() -> anyhow::Result<Vec<String>> {
    let metadata = MetadataCommand::new()
        .current_dir(shell::root())
        .no_deps()
        .exec()
        .context("failed to run cargo metadata")?;
    let mut breaches = Vec::new();
    for package in &metadata.packages {
        match EDGES
            .iter()
            .find(|(name, _)| *name == package.name.as_str())
        {
            None => breaches.push(format!(
                "crate {}: not known: add it to {} and to ARCHITECTURE.md",
                package.name,
                file!()
            )),
            Some((_, allowed)) => {
                breaches.extend(check_package(package, allowed, &metadata.packages))
            }
        }
    }
    Ok(breaches)
}

fn check_package(package: &Package, allowed: &[&str], workspace: &[Package]) -> Vec<String> {
    let ours = |name: &str| workspace.iter().any(|other| other.name.as_str() == name);
    let pure = PURE.contains(&package.name.as_str());
    let mut breaches = Vec::new();
    // Tests may look at anything: they are not shipped.
    let shipped = package
        .dependencies
        .iter()
        .filter(|used| used.kind != DependencyKind::Development);
    for used in shipped {
        let name = used.name.as_str();
        if ours(name) && !allowed.contains(&name) {
            breaches.push(format!("crate {}: may not depend on {name}", package.name));
        }
        if pure && IMPURE.contains(&name) {
            breaches.push(format!(
                "crate {}: is pure and may not depend on {name}",
                package.name
            ));
        }
    }
    breaches
}
