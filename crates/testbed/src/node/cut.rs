//! The network of a node as a fault: cut, or slow.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;

use super::network::{self, Network};

const TABLE: &str = "inet foreshard-cut";

/// A node that neither reaches anybody nor is reached; its own pods still reach each other. Undone on drop.
#[derive(Debug)]
pub struct CutOff {
    network: Network,
    nft: PathBuf,
}

impl CutOff {
    pub(super) fn new(network: Network, nft: PathBuf) -> Result<Self, Error> {
        let cut = Self { network, nft };
        // One transaction: it is cut off in every direction or not at all.
        let chains: Vec<String> = [
            ("input", "iifname eth0 drop;"),
            ("output", "oifname eth0 drop;"),
            ("forward", "iifname eth0 drop; oifname eth0 drop;"),
        ]
        .iter()
        .map(|(hook, rules)| {
            format!("chain {hook} {{ type filter hook {hook} priority -300; {rules} }}")
        })
        .collect();
        let chains = chains.join("\n");
        cut.nft(&format!("table {TABLE} {{\n{chains}\n}}"))?;
        Ok(cut)
    }

    fn nft(&self, what: &str) -> Result<(), Error> {
        let namespace = format!("--net=/run/netns/{}", self.network.namespace());
        let nft = self.nft.display().to_string();
        network::run("nsenter", [namespace.as_str(), &nft, what])
    }
}

impl Drop for CutOff {
    fn drop(&mut self) {
        // The namespace may be gone already, and the table with it.
        let _ = self.nft(&format!("delete table {TABLE}"));
    }
}

/// A node that is far away: every packet to it and from it is late. Undone on drop.
#[derive(Debug)]
pub struct Delayed {
    network: Network,
}

impl Delayed {
    /// Needs the kernel's `netem`.
    pub(super) fn new(network: Network, delay: Duration) -> Result<Self, Error> {
        let delayed = Self { network };
        // Half on each end of the cable, so that a round trip takes it once.
        let half = format!("{}us", delay.as_micros() / 2);
        let here = [
            "qdisc",
            "add",
            "dev",
            &network.link(),
            "root",
            "netem",
            "delay",
            &half,
        ];
        network::run("tc", here)?;
        let namespace = network.namespace();
        network::run(
            "tc",
            [
                "-n", &namespace, "qdisc", "add", "dev", "eth0", "root", "netem", "delay", &half,
            ],
        )?;
        Ok(delayed)
    }
}

impl Drop for Delayed {
    fn drop(&mut self) {
        let namespace = self.network.namespace();
        let _ = network::run(
            "tc",
            ["qdisc", "delete", "dev", &self.network.link(), "root"],
        );
        let _ = network::run(
            "tc",
            ["-n", &namespace, "qdisc", "delete", "dev", "eth0", "root"],
        );
    }
}
