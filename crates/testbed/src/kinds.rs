//! The kinds of bed that can be brought up by name.

use crate::bed::Bed;
use crate::control_plane::ControlPlane;
use crate::error::Error;
use crate::node::Node;
use crate::prometheus::Prometheus;
use crate::vitess::{self, Shape, Vitess};

/// A kind of bed.
#[derive(Debug)]
pub struct Kind {
    /// Its name on the command line; parts that name it among their `beds` are built for it.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Brings it up in an empty bed; ready when it returns, ended when it fails.
    pub up: fn(Bed) -> Result<Bed, Error>,
}

/// Every kind, the quickest first.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "prometheus",
        about: "an empty Prometheus",
        up: |bed| Ok(Prometheus::start_in(bed, &[])?.into_bed()),
    },
    Kind {
        name: "control-plane",
        about: "etcd, kube-apiserver, kube-controller-manager, kube-scheduler",
        up: |bed| ControlPlane::start_in(bed)?.into_bed(),
    },
    Kind {
        name: "kwok",
        about: "a control plane with three fake nodes, on which pods run as far as the API knows",
        up: |bed| ControlPlane::start_with_fake_nodes_in(bed)?.into_bed(),
    },
    Kind {
        name: "node",
        about: "a control plane with a real node: containerd, kubelet, kube-proxy, DNS, storage (needs root)",
        up: |bed| Node::start_in(bed)?.into_bed(),
    },
    Kind {
        name: vitess::KIND,
        about: "Vitess: a keyspace of two shards with three tablets each, and empty tables for load",
        up: |bed| Ok(Vitess::start_in(bed, &Shape::default())?.into_bed()),
    },
];
