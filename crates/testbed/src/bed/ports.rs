//! Ports of a bed: free when chosen, and not those of another bed.

use std::net::{Ipv4Addr, TcpListener};

use super::{Bed, BedError};

/// How often another port is tried when one is spoken for; there are not that many beds.
const TRIES: usize = 64;

impl Bed {
    /// The port of 127.0.0.1 for `what`, such as `etcd-client`: chosen free when first asked for, the same ever after.
    ///
    /// # Errors
    /// There is none, or the state file cannot be written.
    pub fn port(&mut self, what: &str) -> Result<u16, BedError> {
        if let Some(port) = self.record.ports.get(what) {
            return Ok(*port);
        }
        let taken: Vec<u16> = Self::list()
            .iter()
            .flat_map(|bed| bed.ports.values().copied())
            .collect();
        // Held until a good one is found, so that none is offered twice.
        let mut held = Vec::new();
        for _ in 0..TRIES {
            let failed = |reason| BedError::NoPort {
                what: what.to_owned(),
                reason,
            };
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
            let port = listener.local_addr().map_err(failed)?.port();
            held.push(listener);
            if !taken.contains(&port) {
                return self.set_port(what, port);
            }
        }
        Err(BedError::NoPort {
            what: what.to_owned(),
            reason: std::io::ErrorKind::AddrInUse.into(),
        })
    }

    /// Has `what` listen on this port of 127.0.0.1.
    ///
    /// # Errors
    /// Something listens there already.
    pub fn claim_port(&mut self, what: &str, port: u16) -> Result<u16, BedError> {
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
            return Err(BedError::PortTaken {
                what: what.to_owned(),
                port,
            });
        }
        self.set_port(what, port)
    }

    fn set_port(&mut self, what: &str, port: u16) -> Result<u16, BedError> {
        self.record.ports.insert(what.to_owned(), port);
        self.save()?;
        Ok(port)
    }
}
