//! Which parts there are.

use super::{DebianPackages, GoModule, PartError, Recipe};

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// The bed of the control-plane lane.
pub const CONTROL_PLANE: &str = "control-plane";

/// One part that can be built by itself.
#[derive(Debug)]
pub struct Part {
    /// Its name on the command line and in the cache.
    pub name: &'static str,
    /// The version that is pinned, for people; what counts is what the recipe pins.
    pub version: &'static str,
    /// The kinds of bed that need it; their names stand for it on the command line.
    pub beds: &'static [&'static str],
    /// How it is made.
    pub recipe: Recipe,
    /// What must be free on disk before it is begun, in bytes, caches of its compiler included.
    pub disk_bytes: u64,
}

/// Every part, in the order in which they are built: what the fastest tests need comes first.
pub const PARTS: &[Part] = &[
    Part {
        name: "prometheus",
        version: "Debian sid",
        beds: &["prometheus"],
        recipe: Recipe::Debian(DebianPackages {
            packages: &["prometheus"],
            split_off: &["promtool"],
            release: "sid",
            own_libraries: false,
            programs: &["prometheus", "promtool"],
        }),
        disk_bytes: GIB,
    },
    Part {
        name: "etcd",
        version: "v3.7.3",
        beds: &[CONTROL_PLANE, "kwok", "node", "vitess"],
        recipe: Recipe::Go(GoModule {
            packages: &["go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/etcdctl/v3"],
            renamed: &[("server", "etcd")],
            ..go(
                include_str!("../../../../tests/testbed/etcd/go.mod"),
                include_str!("../../../../tests/testbed/etcd/go.sum"),
            )
        }),
        disk_bytes: 2 * GIB,
    },
    Part {
        name: "kubernetes",
        version: "v1.37.2",
        beds: &[CONTROL_PLANE, "kwok", "node"],
        recipe: Recipe::Go(GoModule {
            packages: &[
                "k8s.io/kubernetes/cmd/kube-apiserver",
                "k8s.io/kubernetes/cmd/kube-controller-manager",
                "k8s.io/kubernetes/cmd/kube-scheduler",
                "k8s.io/kubernetes/cmd/kubectl",
            ],
            link_flags: KUBERNETES_VERSION,
            ..go(
                include_str!("../../../../tests/testbed/kubernetes/go.mod"),
                include_str!("../../../../tests/testbed/kubernetes/go.sum"),
            )
        }),
        disk_bytes: 8 * GIB,
    },
    Part {
        name: "kwok",
        version: "v0.8.0",
        beds: &["kwok"],
        recipe: Recipe::Go(GoModule {
            packages: &["sigs.k8s.io/kwok/cmd/kwok"],
            link_flags: "-X sigs.k8s.io/kwok/pkg/consts.Version=v0.8.0",
            files: &[(
                "sigs.k8s.io/kwok",
                &[
                    "kustomize/stage/node/fast/node-initialize.yaml",
                    "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
                    "kustomize/stage/pod/fast/pod-complete.yaml",
                    "kustomize/stage/pod/fast/pod-delete.yaml",
                    "kustomize/stage/pod/fast/pod-ready.yaml",
                ],
            )],
            ..go(
                include_str!("../../../../tests/testbed/kwok/go.mod"),
                include_str!("../../../../tests/testbed/kwok/go.sum"),
            )
        }),
        disk_bytes: 3 * GIB,
    },
    Part {
        name: "mysql",
        version: "Debian sid",
        beds: &["vitess", "node"],
        recipe: Recipe::Debian(DebianPackages {
            packages: &["mysql-server-core", "mysql-client-core"],
            split_off: &[],
            release: "sid",
            own_libraries: true,
            programs: &["mysqld", "mysql", "mysqladmin", "mysqlbinlog"],
        }),
        disk_bytes: GIB,
    },
    Part {
        name: "vitess",
        version: "v0.24.0",
        beds: &["vitess", "node"],
        recipe: Recipe::Go(GoModule {
            packages: &[
                "vitess.io/vitess/go/cmd/mysqlctl",
                "vitess.io/vitess/go/cmd/mysqlctld",
                "vitess.io/vitess/go/cmd/vtbackup",
                "vitess.io/vitess/go/cmd/vtctld",
                "vitess.io/vitess/go/cmd/vtctldclient",
                "vitess.io/vitess/go/cmd/vtgate",
                "vitess.io/vitess/go/cmd/vtorc",
                "vitess.io/vitess/go/cmd/vttablet",
            ],
            ..go(
                include_str!("../../../../tests/testbed/vitess/go.mod"),
                include_str!("../../../../tests/testbed/vitess/go.sum"),
            )
        }),
        disk_bytes: 6 * GIB,
    },
    Part {
        name: "kubernetes-node",
        version: "v1.37.2",
        beds: &["node"],
        recipe: Recipe::Go(GoModule {
            packages: &[
                "k8s.io/kubernetes/cmd/kubelet",
                "k8s.io/kubernetes/cmd/kube-proxy",
            ],
            link_flags: KUBERNETES_VERSION,
            ..go(
                include_str!("../../../../tests/testbed/kubernetes/go.mod"),
                include_str!("../../../../tests/testbed/kubernetes/go.sum"),
            )
        }),
        disk_bytes: 8 * GIB,
    },
    Part {
        name: "busybox",
        version: "Debian bookworm",
        beds: NODE,
        recipe: Recipe::Debian(DebianPackages {
            packages: &["busybox-static"],
            split_off: &[],
            release: "bookworm",
            own_libraries: false,
            programs: &["busybox"],
        }),
        disk_bytes: GIB,
    },
    Part {
        name: "nftables",
        version: "Debian sid",
        beds: NODE,
        recipe: Recipe::Debian(DebianPackages {
            packages: &["nftables"],
            split_off: &[],
            release: "sid",
            own_libraries: true,
            programs: &["nft"],
        }),
        disk_bytes: GIB,
    },
    Part {
        name: "runc",
        version: "v1.5.2",
        beds: NODE,
        recipe: Recipe::Go(GoModule {
            packages: &["github.com/opencontainers/runc"],
            tags: "seccomp urfave_cli_no_docs netgo osusergo",
            link_flags: "-linkmode external -extldflags -static",
            cgo: true,
            libraries: &["libseccomp-dev"],
            ..go(
                include_str!("../../../../tests/testbed/runc/go.mod"),
                include_str!("../../../../tests/testbed/runc/go.sum"),
            )
        }),
        disk_bytes: 2 * GIB,
    },
    Part {
        name: "cni-plugins",
        version: "v1.9.1",
        beds: NODE,
        recipe: Recipe::Go(GoModule {
            packages: &[
                "github.com/containernetworking/plugins/plugins/ipam/host-local",
                "github.com/containernetworking/plugins/plugins/main/bridge",
                "github.com/containernetworking/plugins/plugins/main/loopback",
                "github.com/containernetworking/plugins/plugins/meta/portmap",
            ],
            ..go(
                include_str!("../../../../tests/testbed/cni/go.mod"),
                include_str!("../../../../tests/testbed/cni/go.sum"),
            )
        }),
        disk_bytes: 2 * GIB,
    },
    Part {
        name: "containerd",
        version: "v2.4.2",
        beds: NODE,
        recipe: Recipe::Go(GoModule {
            packages: &[
                "github.com/containerd/containerd/v2/cmd/containerd",
                "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
                "github.com/containerd/containerd/v2/cmd/ctr",
            ],
            tags: "no_btrfs no_zfs no_devmapper no_aufs netgo osusergo urfave_cli_no_docs",
            link_flags: "-X github.com/containerd/containerd/v2/version.Version=v2.4.2",
            ..go(
                include_str!("../../../../tests/testbed/containerd/go.mod"),
                include_str!("../../../../tests/testbed/containerd/go.sum"),
            )
        }),
        disk_bytes: 3 * GIB,
    },
    Part {
        name: "coredns",
        version: "v1.15.0",
        beds: NODE,
        recipe: Recipe::Go(GoModule {
            packages: &["github.com/coredns/coredns"],
            ..go(
                include_str!("../../../../tests/testbed/coredns/go.mod"),
                include_str!("../../../../tests/testbed/coredns/go.sum"),
            )
        }),
        disk_bytes: 4 * GIB,
    },
    Part {
        name: "local-path-provisioner",
        version: "v0.0.30",
        beds: NODE,
        recipe: Recipe::Go(GoModule {
            packages: &["github.com/rancher/local-path-provisioner"],
            ..go(
                include_str!("../../../../tests/testbed/local-path-provisioner/go.mod"),
                include_str!("../../../../tests/testbed/local-path-provisioner/go.sum"),
            )
        }),
        disk_bytes: 2 * GIB,
    },
    Part {
        name: "keda",
        version: "v2.21.0",
        beds: &["keda"],
        recipe: Recipe::Go(GoModule {
            packages: &[
                "github.com/kedacore/keda/v2/cmd/operator",
                "github.com/kedacore/keda/v2/cmd/adapter",
            ],
            renamed: &[("operator", "keda-operator"), ("adapter", "keda-adapter")],
            files: &[(
                "github.com/kedacore/keda/v2",
                &[
                    "config/crd/bases/keda.sh_clustertriggerauthentications.yaml",
                    "config/crd/bases/keda.sh_scaledjobs.yaml",
                    "config/crd/bases/keda.sh_scaledobjects.yaml",
                    "config/crd/bases/keda.sh_triggerauthentications.yaml",
                    "config/crd/bases/eventing.keda.sh_cloudeventsources.yaml",
                    "config/crd/bases/eventing.keda.sh_clustercloudeventsources.yaml",
                ],
            )],
            ..go(
                include_str!("../../../../tests/testbed/keda/go.mod"),
                include_str!("../../../../tests/testbed/keda/go.sum"),
            )
        }),
        disk_bytes: 8 * GIB,
    },
    // Asked for by the tests that need them: no kind of bed has them.
    Part {
        name: "vtadmin",
        version: "v0.24.0",
        beds: &["vtadmin"],
        recipe: Recipe::Go(GoModule {
            packages: &["vitess.io/vitess/go/cmd/vtadmin"],
            ..go(
                include_str!("../../../../tests/testbed/vtadmin/go.mod"),
                include_str!("../../../../tests/testbed/vtadmin/go.sum"),
            )
        }),
        disk_bytes: 6 * GIB,
    },
    Part {
        name: "nginx",
        version: "Debian sid",
        beds: &["vtadmin"],
        recipe: Recipe::Debian(DebianPackages {
            packages: &["nginx", "nginx-common"],
            split_off: &[],
            release: "sid",
            own_libraries: true,
            programs: &["nginx"],
        }),
        disk_bytes: GIB,
    },
    Part {
        name: "versitygw",
        version: "v1.8.0",
        beds: &["bucket"],
        recipe: Recipe::Go(GoModule {
            packages: &["github.com/versity/versitygw/cmd/versitygw"],
            link_flags: "-X main.Version=v1.8.0",
            ..go(
                include_str!("../../../../tests/testbed/versitygw/go.mod"),
                include_str!("../../../../tests/testbed/versitygw/go.sum"),
            )
        }),
        disk_bytes: 2 * GIB,
    },
];

/// What only a real node needs.
const NODE: &[&str] = &["node"];

/// Built from modules, Kubernetes does not know its own version.
const KUBERNETES_VERSION: &str = "-X k8s.io/component-base/version.gitVersion=v1.37.2 \
     -X k8s.io/component-base/version.gitMajor=1 \
     -X k8s.io/component-base/version.gitMinor=37 \
     -X k8s.io/client-go/pkg/version.gitVersion=v1.37.2";

/// A module without any of the specials.
const fn go(go_mod: &'static str, go_sum: &'static str) -> GoModule {
    GoModule {
        go_mod,
        go_sum,
        packages: &[],
        tags: "",
        link_flags: "",
        cgo: false,
        libraries: &[],
        renamed: &[],
        files: &[],
    }
}

pub(super) fn by_name(name: &str) -> Result<&'static Part, PartError> {
    PARTS
        .iter()
        .find(|part| part.name == name)
        .ok_or_else(|| PartError::unknown(name))
}
