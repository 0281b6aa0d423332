//! Vitess as processes on loopback: etcd, vtctld, vtorc, vtgate, and a mysqld with a vttablet for each tablet.

mod command;
mod error;
mod ready;
mod shape;
mod site;
mod start;
mod tablet;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use foreshard_vtctld::{Client, TabletAlias, TabletType};
use tokio::runtime::Runtime;

use crate::truth::Primary;
use crate::{Bed, Error, Identity, mysql};
pub use error::VitessError;
pub use shape::Shape;
pub use site::FOLDER_VARIABLE;
use site::{Programs, Site};
use tablet::Placed;

/// The kind of bed that this is.
pub const KIND: &str = "vitess";

/// The one cell that there is.
pub const CELL: &str = "zone1";

/// How long the topology may take to have what a switch did.
const SERVING_LIMIT: Duration = Duration::from_secs(60);

/// A Vitess cluster that serves.
///
/// It ends with its value, unless its bed is taken out of it and kept. Calls block; for calls of vtctld, which are
/// asynchronous, there is [`block_on`](Self::block_on).
#[derive(Debug)]
pub struct Vitess {
    bed: Bed,
    site: Site,
    shape: Shape,
    tablets: Vec<Placed>,
    vtctld: Client,
    runtime: Runtime,
}

impl Vitess {
    /// Starts a cluster of this shape in a bed of its own; it serves when this returns.
    ///
    /// # Errors
    /// Parts that are not built, programs that do not start, or not in time, with the ends of their logs.
    pub fn start(shape: &Shape) -> Result<Self, Error> {
        // Before there is a bed: often they are not there.
        Programs::find()?;
        Self::start_in(Bed::unique(KIND)?, shape)
    }

    /// Starts a cluster of this shape in an empty bed.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_in(mut bed: Bed, shape: &Shape) -> Result<Self, Error> {
        shape.check()?;
        let site = Site::new(&mut bed, &shape.keyspace)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(VitessError::Runtime)?;
        let address = format!("127.0.0.1:{}", bed.port("vtctld-grpc")?);
        let vtctld = Client::new(&address)?;
        let mut vitess = Self {
            bed,
            site,
            shape: shape.clone(),
            tablets: Vec::new(),
            vtctld,
            runtime,
        };
        vitess.start_topology()?;
        if !shape.shards.is_empty() {
            vitess.start_mysqlds(&shape.shards)?;
            vitess.start_vtorc()?;
            vitess.start_vttablets(&shape.shards)?;
            vitess.apply_schema()?;
            vitess.start_vtgate()?;
            vitess.await_vtgate(&shape.shards)?;
        }
        vitess.tell()?;
        Ok(vitess)
    }

    /// A client of its vtctld.
    #[must_use]
    pub fn vtctld(&self) -> &Client {
        &self.vtctld
    }

    /// Waits for something asynchronous, such as a call of vtctld. Not to be used from within a runtime.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Where its vtgate speaks MySQL: any user, no password.
    ///
    /// # Errors
    /// The bed's state cannot be written.
    pub fn gate(&mut self) -> Result<SocketAddr, Error> {
        let port = self.bed.port("vtgate-mysql")?;
        Ok((Ipv4Addr::LOCALHOST, port).into())
    }

    /// Where its vtgate speaks gRPC.
    ///
    /// # Errors
    /// The bed's state cannot be written.
    pub fn gate_grpc(&mut self) -> Result<SocketAddr, Error> {
        let port = self.bed.port("vtgate-grpc")?;
        Ok((Ipv4Addr::LOCALHOST, port).into())
    }

    /// Its keyspace.
    #[must_use]
    pub fn keyspace(&self) -> &str {
        &self.shape.keyspace
    }

    /// Its bed: to look at, to stop and kill parts of.
    pub fn bed(&mut self) -> &mut Bed {
        &mut self.bed
    }

    /// Its bed alone, which goes on.
    #[must_use]
    pub fn into_bed(self) -> Bed {
        self.bed
    }

    /// Starts the tablets of more shards, and waits until each has a primary. They serve only after a reshard. Gives
    /// how long that took.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn add_shards(&mut self, shards: &[&str]) -> Result<Duration, Error> {
        let begun = Instant::now();
        let shards: Vec<String> = shards.iter().map(|shard| (*shard).to_owned()).collect();
        self.start_mysqlds(&shards)?;
        self.start_vttablets(&shards)?;
        Ok(begun.elapsed())
    }

    /// Ends the processes of a shard's tablets, as is due once a reshard away from it is complete.
    ///
    /// # Errors
    /// A part that cannot be ended.
    pub fn stop_shard(&mut self, shard: &str) -> Result<(), Error> {
        let tablets: Vec<Placed> = self
            .tablets
            .iter()
            .filter(|tablet| tablet.shard == shard)
            .cloned()
            .collect();
        tablets.iter().try_for_each(|tablet| self.end(tablet))
    }

    /// Has a tablet's host crash: vttablet, mysqlctld and mysqld are gone at once, their files stay.
    ///
    /// # Errors
    /// There is no such tablet.
    pub fn crash(&mut self, tablet: &TabletAlias) -> Result<(), Error> {
        let placed = self.placed(tablet)?;
        self.end(&placed)
    }

    /// Starts a tablet whose host crashed again, with the files that it had; returns when its mysqld runs.
    ///
    /// # Errors
    /// There is no such tablet, or it does not start.
    pub fn revive(&mut self, tablet: &TabletAlias) -> Result<(), Error> {
        let placed = self.placed(tablet)?;
        let socket = self.site.mysqlctl_socket(placed.uid);
        // What is left of the one before.
        let _ = std::fs::remove_file(&socket);
        self.bed.restart(&placed.mysqlctld())?;
        self.await_mysqld(&placed)?;
        Ok(self.bed.restart(&placed.vttablet())?)
    }

    fn placed(&self, tablet: &TabletAlias) -> Result<Placed, VitessError> {
        let found = self.tablets.iter().find(|it| it.uid == tablet.uid);
        found
            .cloned()
            .ok_or_else(|| VitessError::NoTablet(tablet.to_string()))
    }

    /// mysqld before mysqlctld, its only parent, which would leave it alone.
    fn end(&mut self, placed: &Placed) -> Result<(), Error> {
        self.bed.kill(&placed.vttablet())?;
        if let Some(mysqld) = self.site.mysqld(placed.uid) {
            mysqld.end(Duration::ZERO);
        }
        Ok(self.bed.kill(&placed.mysqlctld())?)
    }

    /// The mysqld of a tablet, if it runs: for faults.
    #[must_use]
    pub fn mysqld(&self, tablet: &TabletAlias) -> Option<Identity> {
        self.site.mysqld(tablet.uid)
    }

    /// The primaries of shards, to be read without vtgate.
    ///
    /// # Errors
    /// What vtctld says; a shard without a primary.
    pub fn primaries(&self, shards: &[&str]) -> Result<Vec<Primary>, Error> {
        let of = |shard: &&str| {
            let record = self.block_on(self.vtctld.shard(&self.shape.keyspace, shard))?;
            let alias = record
                .primary
                .ok_or_else(|| VitessError::NoPrimary((*shard).to_owned()))?;
            Ok(Primary {
                shard: (*shard).to_owned(),
                socket: self.site.mysql_socket(alias.uid),
                user: "vt_dba".to_owned(),
                database: format!("vt_{}", self.shape.keyspace),
            })
        };
        shards.iter().map(of).collect()
    }

    /// What users of a kept bed need.
    fn tell(&mut self) -> Result<(), Error> {
        let facts = [
            ("vtctld (gRPC)", "vtctld-grpc"),
            ("vtctld (web)", "vtctld-http"),
        ];
        for (fact, port) in facts {
            let address = format!("127.0.0.1:{}", self.bed.port(port)?);
            self.bed.set_fact(fact, address)?;
        }
        if !self.shape.shards.is_empty() {
            let port = self.bed.port("vtgate-mysql")?;
            let client = mysql::client(&self.site.programs.mysql_root, port);
            let command = format!("{client} {}", self.shape.keyspace);
            self.bed.set_fact("MySQL", command)?;
        }
        Ok(())
    }

    /// Waits until no shard but these serves primaries, by the topology.
    ///
    /// # Errors
    /// It takes more than a minute.
    pub fn await_serving(&mut self, shards: &[&str]) -> Result<(), Error> {
        let Self {
            bed,
            shape,
            vtctld,
            runtime,
            ..
        } = self;
        bed.wait_until(
            "vtctld",
            "having only the new shards serve",
            SERVING_LIMIT,
            || {
                let serving = runtime.block_on(vtctld.serving(&shape.keyspace));
                match serving {
                    Ok(serving) if serving.is_everywhere(TabletType::Primary, shards) => Ok(()),
                    Ok(serving) => Err(format!("{:?}", serving.cells)),
                    Err(error) => Err(error.to_string()),
                }
            },
        )?;
        Ok(())
    }
}
