//! How a cluster's vtctld and gateways are reached, and the clients that reach them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foreshard_api::condition::{Finding, kind};
use foreshard_controller::error::chain;
use foreshard_vtctld::{Client, Gate, Tls};
use tokio::time::Instant;

use crate::cluster::names::{ClusterNames, GRPC_PORT};
use crate::names::Dns;
use crate::pki::{CA, CERTIFICATE, KEY, text};
use crate::shared::Shared;

/// Where a cluster's servers are. In a cluster by DNS; a test's are elsewhere.
pub trait Reach: Send + Sync {
    /// `HOST:PORT` of vtctld's gRPC.
    fn vtctld(&self, names: &ClusterNames) -> String {
        format!("{}:{GRPC_PORT}", names.host(&names.vtctld()))
    }

    /// `HOST:PORT` of the gateways' gRPC.
    fn gateway(&self, names: &ClusterNames) -> String {
        format!("{}:{GRPC_PORT}", names.host(&names.gateway()))
    }
}

impl Reach for Dns {}

/// The Secret is read again after this: certificates are made anew in time.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// Name of the certificate that we show.
pub(crate) const CLIENT: &str = "client";

/// Clients of one cluster.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) vtctld: Client,
    pub(crate) gate: Gate,
}

/// Clients of all clusters, kept between passes.
pub(crate) struct Ways {
    reach: Arc<dyn Reach>,
    known: Mutex<BTreeMap<ClusterNames, (Way, Instant)>>,
}

impl Ways {
    pub(crate) fn new(reach: Arc<dyn Reach>) -> Self {
        Self {
            reach,
            known: Mutex::default(),
        }
    }

    /// Has the next who asks read certificates again: they may have been made anew, or the server is elsewhere.
    pub(crate) fn forget(&self, names: &ClusterNames) {
        self.lock().remove(names);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ClusterNames, (Way, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clients of a cluster.
pub(crate) async fn way(shared: &Shared, names: &ClusterNames) -> Result<Way, Finding> {
    if let Some((way, looked)) = shared.ways.lock().get(names)
        && looked.elapsed() < LOOK_EVERY
    {
        return Ok(way.clone());
    }
    let unusable = |said: String| Finding::no(kind::PROGRESSING, "CertificatesUnusable", said);
    let name = names.certificate(CLIENT);
    let secret = shared.secret(&names.namespace, &name).await;
    let secret = secret.map_err(|said| Finding::no(kind::PROGRESSING, "SecretUnreadable", said))?;
    let secret = secret.ok_or_else(|| {
        let said = format!("Secret {name} is not there yet; it is made with the cluster.");
        Finding::no(kind::PROGRESSING, "SecretMissing", said)
    })?;
    let of = |key: &str| {
        let fix = "delete the Secret to have it made anew";
        text(&secret, key).ok_or_else(|| unusable(format!("Secret {name} has no {key}: {fix}.")))
    };
    let tls = Tls {
        ca: of(CA)?,
        certificate: of(CERTIFICATE)?,
        key: of(KEY)?,
    };
    let reach = &shared.ways.reach;
    let (vtctld, gateway) = (names.host(&names.vtctld()), names.host(&names.gateway()));
    let said = |error: &foreshard_vtctld::Error| unusable(chain(error));
    let way = Way {
        vtctld: Client::with_tls(&reach.vtctld(names), &vtctld, &tls).map_err(|it| said(&it))?,
        gate: Gate::with_tls(&reach.gateway(names), &gateway, &tls).map_err(|it| said(&it))?,
    };
    let known = (way.clone(), Instant::now());
    shared.ways.lock().insert(names.clone(), known);
    Ok(way)
}

/// What vtctld did not do, as a condition; its clients are made anew.
pub(crate) fn refused(
    shared: &Shared,
    names: &ClusterNames,
    error: &foreshard_vtctld::Error,
) -> Finding {
    shared.ways.forget(names);
    let said = format!("{}; it is asked again.", chain(error));
    Finding::no(kind::PROGRESSING, "VtctldRefused", said)
}
