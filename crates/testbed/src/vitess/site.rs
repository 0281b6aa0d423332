//! Where the files of a cluster are, and who owns them.

use std::env;
use std::fs;
use std::path::PathBuf;

use crate::{Bed, BedError, Error, Identity, RunAs, home, mysql, parts};

/// Names a folder with Vitess's programs to be used instead of the test bed's own, for instance of another version.
pub const FOLDER_VARIABLE: &str = "FORESHARD_VITESS_DIR";

/// Vitess refuses to run as root. A number that no system gives to a user.
const USER: RunAs = RunAs {
    uid: 33_060,
    gid: 33_060,
};

/// The programs of a cluster.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) etcd: PathBuf,
    /// The folder that has `vtgate` and the others.
    pub(super) vitess: PathBuf,
    /// The folder that has `bin/mysqld`.
    pub(super) mysql_root: PathBuf,
}

impl Programs {
    pub(super) fn find() -> Result<Self, Error> {
        let named = env::var_os(FOLDER_VARIABLE).filter(|value| !value.is_empty());
        let vitess = match named {
            Some(folder) => PathBuf::from(folder),
            None => parts::find("vitess")?.folder().join("bin"),
        };
        Ok(Self {
            etcd: parts::find("etcd")?.program("etcd"),
            vitess,
            mysql_root: parts::find("mysql")?.folder().to_owned(),
        })
    }
}

/// Where a cluster lives.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) programs: Programs,
    pub(super) keyspace: String,
    /// Where etcd is, for Vitess.
    pub(super) topology_address: String,
    pub(super) user: Option<RunAs>,
    /// Vitess's `VTDATAROOT`: a folder for each tablet.
    pub(super) data: PathBuf,
    pub(super) etcd_data: PathBuf,
    pub(super) backups: PathBuf,
    /// What is added to every mysqld's configuration.
    pub(super) extra_my_cnf: PathBuf,
}

impl Site {
    pub(super) fn new(bed: &mut Bed, keyspace: &str) -> Result<Self, Error> {
        let programs = Programs::find()?;
        let user = home::is_root().then_some(USER);
        let extra_my_cnf = bed.folder().join("extra.cnf");
        fs::write(
            &extra_my_cnf,
            mysql::small_configuration(&programs.mysql_root),
        )
        .map_err(BedError::file(&extra_my_cnf))?;
        Ok(Self {
            programs,
            keyspace: keyspace.to_owned(),
            topology_address: format!("127.0.0.1:{}", bed.port("etcd-client")?),
            user,
            data: bed.subfolder("vt", user)?,
            etcd_data: bed.subfolder("etcd", user)?,
            backups: bed.subfolder("backups", user)?,
            extra_my_cnf,
        })
    }

    /// The socket on which a tablet's mysqlctld listens once mysqld runs.
    pub(super) fn mysqlctl_socket(&self, uid: u32) -> PathBuf {
        self.data.join(format!("mysqlctl-{uid}.sock"))
    }

    /// The socket on which a tablet's mysqld listens.
    pub(super) fn mysql_socket(&self, uid: u32) -> PathBuf {
        self.tablet(uid).join("mysql.sock")
    }

    /// A tablet's mysqld, if it runs.
    pub(super) fn mysqld(&self, uid: u32) -> Option<Identity> {
        let pid = fs::read_to_string(self.tablet(uid).join("mysql.pid")).ok()?;
        Identity::of(pid.trim().parse().ok()?)
    }

    fn tablet(&self, uid: u32) -> PathBuf {
        self.data.join(format!("vt_{uid:010}"))
    }
}
