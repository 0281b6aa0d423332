//! The command lines of a cluster's programs.

use std::time::Duration;

use super::CELL;
use super::site::Site;
use super::tablet::Placed;
use crate::{Bed, Error, PartSpec};

/// Every one ends at once: what it holds goes with the bed, and a crash is what a test bed is for.
const GRACE: Duration = Duration::ZERO;

impl Site {
    pub(super) fn etcd(&self, bed: &mut Bed) -> Result<PartSpec, Error> {
        let client = format!("http://{}", self.topology_address);
        let peer = format!("http://127.0.0.1:{}", bed.port("etcd-peer")?);
        Ok(self.own(
            PartSpec::new("etcd", &self.programs.etcd)
                .args(["--name", "etcd", "--log-level", "warn"])
                .args(["--data-dir", &self.etcd_data.to_string_lossy()])
                .args(["--listen-client-urls", &client])
                .args(["--advertise-client-urls", &client])
                .args(["--listen-peer-urls", &peer])
                .args(["--initial-advertise-peer-urls", &peer])
                .args(["--initial-cluster", &format!("etcd={peer}")])
                .arg("--unsafe-no-fsync"),
        ))
    }

    pub(super) fn vtctld(&self, bed: &mut Bed) -> Result<PartSpec, Error> {
        let (http, grpc) = (bed.port("vtctld-http")?, bed.port("vtctld-grpc")?);
        let spec = self
            .program("vtctld", "vtctld")
            .args(self.topology())
            .args(self.backups())
            .args(["--cell", CELL])
            .args(["--service-map", "grpc-vtctl,grpc-vtctld"]);
        Ok(loopback(spec, http, grpc))
    }

    pub(super) fn vtorc(&self, bed: &mut Bed) -> Result<PartSpec, Error> {
        let http = bed.port("vtorc-http")?;
        Ok(self
            .program("vtorc", "vtorc")
            .args(self.topology())
            .args(["--cell", CELL, "--bind-address", "127.0.0.1"])
            .args(["--port", &http.to_string()])
            // Quick: tests wait for elections.
            .args(["--instance-poll-time", "1s"])
            .args(["--topo-information-refresh-duration", "2s"])
            .args(["--recovery-poll-duration", "1s"]))
    }

    pub(super) fn vtgate(&self, bed: &mut Bed) -> Result<PartSpec, Error> {
        let (http, grpc) = (bed.port("vtgate-http")?, bed.port("vtgate-grpc")?);
        let mysql = bed.port("vtgate-mysql")?;
        let spec = self
            .program("vtgate", "vtgate")
            .args(self.topology())
            .args(["--cell", CELL, "--cells-to-watch", CELL])
            .args(["--tablet-types-to-wait", "PRIMARY"])
            .args(["--tablet-refresh-interval", "2s"])
            .args(["--service-map", "grpc-vtgateservice"])
            .args(["--mysql-server-bind-address", "127.0.0.1"])
            .args(["--mysql-server-port", &mysql.to_string()])
            .args(["--mysql-auth-server-impl", "none"])
            // Off by default; without it a switch of traffic is an outage.
            .arg("--enable-buffer")
            .args(["--buffer-window", "10s"])
            .args(["--buffer-max-failover-duration", "20s"])
            .args(["--buffer-size", "1000"])
            .args(["--buffer-drain-concurrency", "4"]);
        Ok(loopback(spec, http, grpc))
    }

    pub(super) fn mysqlctld(&self, bed: &mut Bed, tablet: &Placed) -> Result<PartSpec, Error> {
        let uid = tablet.uid;
        let mysql = bed.port(&format!("mysqld-{uid}"))?;
        let socket = self.mysqlctl_socket(uid);
        Ok(self
            .program(&tablet.mysqlctld(), "mysqlctld")
            .args(["--tablet-uid", &uid.to_string()])
            .args(["--mysql-port", &mysql.to_string()])
            .args(["--socket-file", &socket.to_string_lossy()])
            // Of its web pages, on a port of its own choice.
            .args(["--bind-address", "127.0.0.1"])
            // mysqld's, too: fewer arenas, a third less memory.
            .env("MALLOC_ARENA_MAX", "2"))
    }

    pub(super) fn vttablet(&self, bed: &mut Bed, tablet: &Placed) -> Result<PartSpec, Error> {
        let uid = tablet.uid;
        let http = bed.port(&format!("vttablet-{uid}-http"))?;
        let grpc = bed.port(&format!("vttablet-{uid}-grpc"))?;
        let socket = self.mysqlctl_socket(uid);
        let tablet_type = if tablet.is_replica {
            "replica"
        } else {
            "rdonly"
        };
        let spec = self
            .program(&tablet.vttablet(), "vttablet")
            .args(self.topology())
            .args(self.backups())
            .args(["--tablet-path", &format!("{CELL}-{uid}")])
            .args(["--tablet-hostname", "127.0.0.1"])
            .args(["--init-keyspace", &self.keyspace])
            .args(["--init-shard", &tablet.shard])
            .args(["--init-tablet-type", tablet_type])
            .args(["--mysqlctl-socket", &socket.to_string_lossy()])
            .arg("--restore-from-backup")
            .args(["--health-check-interval", "2s"])
            // The default of 30 s is as long as a statement may take: who waits for a transaction that nobody ends
            // would fail with it.
            .args(["--queryserver-config-transaction-timeout", "15s"])
            .args(["--heartbeat-on-demand-duration", "5s"])
            .args([
                "--service-map",
                "grpc-queryservice,grpc-tabletmanager,grpc-updatestream",
            ]);
        Ok(loopback(spec, http, grpc))
    }

    /// One of Vitess's programs, with what all of them need.
    fn program(&self, part: &str, program: &str) -> PartSpec {
        let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
        self.own(
            PartSpec::new(part, self.programs.vitess.join(program))
                .arg("--config-file-not-found-handling=ignore")
                .args(["--log-format", "text"])
                .env("VTDATAROOT", text(&self.data))
                .env("VTROOT", text(&self.data))
                .env("VT_MYSQL_ROOT", text(&self.programs.mysql_root))
                .env("EXTRA_MY_CNF", text(&self.extra_my_cnf)),
        )
    }

    fn own(&self, spec: PartSpec) -> PartSpec {
        let spec = spec.grace(GRACE);
        match self.user {
            Some(user) => spec.run_as(user),
            None => spec,
        }
    }

    fn topology(&self) -> [String; 6] {
        [
            "--topo-implementation".to_owned(),
            "etcd2".to_owned(),
            "--topo-global-server-address".to_owned(),
            self.topology_address.clone(),
            "--topo-global-root".to_owned(),
            "/vitess/global".to_owned(),
        ]
    }

    fn backups(&self) -> [String; 4] {
        [
            "--backup-storage-implementation".to_owned(),
            "file".to_owned(),
            "--file-backup-storage-root".to_owned(),
            self.backups.to_string_lossy().into_owned(),
        ]
    }
}

/// Listening on this machine only.
fn loopback(spec: PartSpec, http: u16, grpc: u16) -> PartSpec {
    spec.args(["--bind-address", "127.0.0.1"])
        .args(["--grpc-bind-address", "127.0.0.1"])
        .args(["--port", &http.to_string()])
        .args(["--grpc-port", &grpc.to_string()])
        .arg("--grpc-prometheus")
}
