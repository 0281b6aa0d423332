//! The real program, with names of its own.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use foreshard_testbed::{Api, ControlPlane};

use crate::metrics::Metrics;
use crate::world::address;
use crate::{CLUSTERS, name};

/// It runs until it is dropped.
pub(crate) struct Program {
    child: Child,
    folder: PathBuf,
    kubeconfig: PathBuf,
    port: u16,
}

impl Program {
    pub(crate) fn start(plane: &ControlPlane) -> Self {
        let folder = plane.bed().unwrap().folder().to_owned();
        let mut hosts = "127.0.0.1 localhost\n".to_owned();
        for number in 0..CLUSTERS {
            for (server, service) in ["vtctld", "vtgate"].into_iter().enumerate() {
                let address = address(number, server);
                let name = name(number);
                writeln!(hosts, "{address} {name}-{service}.default.svc").unwrap();
            }
        }
        fs::write(folder.join("hosts"), hosts).unwrap();
        Self::start_in(folder, plane.kubeconfig().to_owned())
    }

    fn start_in(folder: PathBuf, kubeconfig: PathBuf) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = port.local_addr().unwrap().port();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let usual = || root.join("target/debug/foreshard");
        let binary = std::env::var_os("FORESHARD_BINARY").map_or_else(usual, PathBuf::from);
        assert!(binary.is_file(), "run it by `cargo xtask e2e fleet`");
        let log = fs::File::create(folder.join(format!("operator-{port}.log"))).unwrap();
        // Nobody else sees these names.
        let begin = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
        let child = Command::new("unshare")
            .args(["--mount", "--propagation=private", "sh", "-c", begin])
            .arg(folder.join("hosts"))
            .arg(binary)
            .args(["operator", "--controllers=cluster", "--namespace=default"])
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .arg(format!("--identity=fleet-{port}"))
            .arg(format!("--health-listen=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            folder,
            kubeconfig,
            port,
        }
    }

    /// Killed, and started again.
    pub(crate) fn restart(mut self) -> Self {
        self.end();
        Self::start_in(self.folder.clone(), self.kubeconfig.clone())
    }

    pub(crate) fn metrics(&self) -> Result<Metrics, String> {
        let api = Api::plain(format!("http://127.0.0.1:{}", self.port));
        let text = api.text("/metrics").map_err(|error| error.to_string())?;
        Ok(Metrics::read(&text))
    }

    /// Resident memory.
    pub(crate) fn rss_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap();
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        let kib = line.and_then(|it| it.trim().strip_suffix(" kB"));
        kib.unwrap().parse::<u64>().unwrap() / 1024
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}
