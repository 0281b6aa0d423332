//! Callers whom nobody knows yet: each may cost a question to the API server, so they are counted before one is asked.

use std::net::{IpAddr, Ipv4Addr};

use foreshard_listener::{NoPlace, Place, Places, peer_of};

use crate::{
    limits::Limits,
    problem::Problem,
    rates::{Limiter, too_many},
};

/// The strangers of all peers.
pub(crate) struct Strangers {
    requests: Limiter<IpAddr>,
    under_way: Places<IpAddr>,
}

/// Seconds after which one of the questions under way has surely ended.
const RETRY_SECONDS: u32 = 1;

impl Strangers {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            requests: Limiter::new(limits.strangers),
            under_way: Places::new(limits.strangers_max, limits.strangers_of_peer_max),
        }
    }

    /// Counts a request from this address, and gives it a place while somebody is asked about its caller.
    pub(crate) fn admit(&self, peer: Option<IpAddr>) -> Result<Place<IpAddr>, Problem> {
        // Without an address all are one peer.
        let peer = peer_of(peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        let often = || format!("callers at {peer} who are not known yet ask too often");
        self.requests.count(&peer, often)?;
        self.under_way.take(peer).map_err(|why| {
            let detail = match why {
                NoPlace::HasEnough => {
                    format!("it is just being asked who other callers at {peer} are")
                }
                NoPlace::Full => "it is just being asked who many other callers are".to_owned(),
            };
            too_many(detail, RETRY_SECONDS)
        })
    }
}
