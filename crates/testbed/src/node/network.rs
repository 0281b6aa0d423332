//! The addresses of a node, and the namespace that they live in.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::bed::{Bed, BedError, Resource};
use crate::control_plane::Cluster;
use crate::error::Error;
use crate::home;

/// Nodes that can be up side by side.
const SLOTS: u8 = 32;

/// Where the addresses of one node are. No other bed has them while this one is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    slot: u8,
}

impl Network {
    /// Takes the first set of addresses that nobody has, and makes the namespace with a cable to it.
    ///
    /// What is for pods, services and the node is sent into a black hole behind the cable's routes: no packet for
    /// a node that is gone leaves this machine, and nothing that the node sends is passed on.
    pub(super) fn create(bed: &mut Bed) -> Result<Self, Error> {
        let folder = home::folder();
        fs::create_dir_all(&folder).map_err(BedError::file(&folder))?;
        let path = folder.join("networks.lock");
        let lock = File::create(&path).map_err(BedError::file(&path))?;
        lock.lock().map_err(BedError::file(&path))?;
        let free = (0..SLOTS).map(|slot| Self { slot }).find(Self::is_free);
        let network = free.ok_or(BedError::NoNetwork { limit: SLOTS })?;
        network.record(bed)?;
        network.make()?;
        Ok(network)
    }

    /// The network namespace, as `ip netns` has it.
    #[must_use]
    pub fn namespace(&self) -> String {
        format!("foreshard-node{}", self.slot)
    }

    /// This machine's end of the cable to the node.
    #[must_use]
    pub fn link(&self) -> String {
        format!("fsnode{}", self.slot)
    }

    /// This machine as the node sees it.
    #[must_use]
    pub fn host(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 99, self.slot, 1)
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 99, self.slot, 2)
    }

    /// The first two numbers of pods' addresses.
    pub(super) fn pods(&self) -> String {
        format!("10.{}", 100 + self.slot)
    }

    /// The first two numbers of services' addresses.
    pub(super) fn services(&self) -> String {
        format!("10.{}", 140 + self.slot)
    }

    /// What the control plane needs to know of it.
    pub(super) fn cluster(self) -> Cluster {
        Cluster {
            host: self.host(),
            pods: format!("{}.0.0/16", self.pods()),
            services: format!("{}.0.0/16", self.services()),
            first_service: format!("{}.0.1", self.services()),
            has_nodes: true,
        }
    }

    /// A name for things of this node that are outside of the bed's folder.
    pub(super) fn label(&self) -> String {
        self.namespace()
    }

    fn is_free(&self) -> bool {
        let resources = [
            Resource::NetworkNamespace(self.namespace()),
            Resource::Link(self.link()),
            Resource::Folder(self.run_folder()),
        ];
        !resources.iter().any(Resource::exists)
            && !self.ranges().iter().any(|range| has_route(range))
    }

    /// Short, because the names of sockets may have 107 bytes only.
    pub(super) fn run_folder(&self) -> std::path::PathBuf {
        Path::new("/run").join(self.label())
    }

    fn ranges(&self) -> [String; 3] {
        [
            format!("{}.0.0/16", self.pods()),
            format!("{}.0.0/16", self.services()),
            format!("10.99.{}.0/24", self.slot),
        ]
    }

    fn record(&self, bed: &mut Bed) -> Result<(), BedError> {
        for range in self.ranges() {
            bed.record_resource(Resource::Route(blackhole(&range)))?;
        }
        bed.record_resource(Resource::Folder(self.run_folder()))?;
        bed.record_resource(Resource::Link(self.link()))?;
        bed.record_resource(Resource::NetworkNamespace(self.namespace()))
    }

    fn make(&self) -> Result<(), Error> {
        let (namespace, link) = (self.namespace(), self.link());
        let (host, node) = (format!("{}/24", self.host()), format!("{}/24", self.node()));
        let run_folder = self.run_folder();
        fs::create_dir_all(&run_folder).map_err(BedError::file(&run_folder))?;
        for range in self.ranges() {
            ip(&format!("route add {}", blackhole(&range)))?;
        }
        ip(&format!("netns add {namespace}"))?;
        ip(&format!(
            "link add {link} type veth peer name eth0 netns {namespace}"
        ))?;
        // Whatever the node sends elsewhere ends here.
        let forwarding = Path::new("/proc/sys/net/ipv4/conf")
            .join(&link)
            .join("forwarding");
        fs::write(&forwarding, "0").map_err(BedError::file(&forwarding))?;
        ip(&format!("address add {host} dev {link}"))?;
        ip(&format!("link set {link} up"))?;
        ip(&format!("-n {namespace} link set lo up"))?;
        ip(&format!("-n {namespace} address add {node} dev eth0"))?;
        ip(&format!("-n {namespace} link set eth0 up"))?;
        ip(&format!(
            "-n {namespace} route add default via {}",
            self.host()
        ))?;
        for range in &self.ranges()[..2] {
            ip(&format!("route add {range} via {}", self.node()))?;
        }
        let settings = [
            "net.ipv4.ip_forward=1",
            "net.ipv4.conf.all.route_localnet=1",
        ];
        let entered = format!("--net=/run/netns/{namespace}");
        run(
            "nsenter",
            [entered.as_str(), "sysctl", "-qw"]
                .into_iter()
                .chain(settings),
        )
    }
}

fn blackhole(range: &str) -> String {
    format!("blackhole {range} metric 4000")
}

fn has_route(range: &str) -> bool {
    let output = Command::new("ip")
        .args(["route", "show", "to", "root", range])
        .stdin(Stdio::null())
        .output();
    // Where nothing can be said, making it will say why.
    output.is_ok_and(|output| !output.stdout.is_empty())
}

fn ip(words: &str) -> Result<(), Error> {
    run("ip", words.split(' '))
}

pub(super) fn run<'a>(program: &str, args: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
    let args: Vec<&str> = args.into_iter().collect();
    let command = format!("{program} {}", args.join(" "));
    let output = Command::new(program)
        .args(&args)
        .stdin(Stdio::null())
        .output();
    let said = match output {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Err(BedError::Network { command, said }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_networks_share_an_address() {
        let mut seen = std::collections::BTreeSet::new();
        for slot in 0..SLOTS {
            for range in (Network { slot }).ranges() {
                assert!(seen.insert(range.clone()), "{range}");
            }
        }
    }
}
