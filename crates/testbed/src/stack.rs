//! Images of what a whole cluster of Vitess is made of, from the parts that are here.

use std::path::Path;

use crate::parts;
use crate::{BedError, Error, Image};

/// Programs of Vitess that pods run.
const PROGRAMS: [&str; 6] = [
    "mysqlctld",
    "vtbackup",
    "vtctld",
    "vtgate",
    "vtorc",
    "vttablet",
];

/// Under which names they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Stack<'a> {
    /// etcd.
    pub etcd: &'a str,
    /// Vitess, laid out as `vitess/lite`.
    pub vitess: &'a str,
    /// MySQL.
    pub mysqld: &'a str,
    /// Prometheus; none: it is not needed.
    pub prometheus: Option<&'a str>,
}

impl Stack<'_> {
    /// The images.
    ///
    /// # Errors
    /// Parts that are missing.
    pub fn images(&self) -> Result<Vec<Image>, Error> {
        let (etcd, vitess) = (parts::find("etcd")?, parts::find("vitess")?);
        let lite = PROGRAMS
            .iter()
            .fold(Image::new(self.vitess), |image, name| {
                image.program(vitess.program(name), format!("vt/bin/{name}"))
            });
        // What stands for a server's folder of programs is beside it.
        let mysqld = parts::find("mysql")?.program("mysqld");
        let part = mysqld.parent().and_then(Path::parent);
        let root = part.unwrap_or(Path::new("/")).join("root/usr");
        let mysql = Image::new(self.mysqld)
            .tree(&root, "usr")
            .map_err(BedError::file(&root))?
            .link("lib", "usr/lib")
            .link("lib64", "usr/lib64");
        let mut images = vec![
            Image::new(self.etcd).program(etcd.program("etcd"), "usr/local/bin/etcd"),
            with_shell(lite)?,
            with_shell(mysql)?,
        ];
        if let Some(name) = self.prometheus {
            let prometheus = parts::find("prometheus")?.program("prometheus");
            let image = Image::new(name).libraries_of(&prometheus);
            let image = image.map_err(BedError::file(&prometheus))?;
            images.push(image.program(prometheus, "bin/prometheus"));
        }
        Ok(images)
    }
}

/// With what commands of pods need, and a user of Vitess.
fn with_shell(image: Image) -> Result<Image, Error> {
    let busybox = parts::find("busybox")?.program("busybox");
    let image = image.program(busybox, "usr/bin/busybox");
    let applets = ["sh", "cp", "rm", "test"].iter();
    let image = applets.fold(image, |image, applet| {
        image.link(format!("usr/bin/{applet}"), "busybox")
    });
    Ok(image
        .link("bin", "usr/bin")
        .folder("tmp", 0o1777)
        .text("etc/passwd", "root:x:0:0::/:\nvitess:x:999:999::/tmp:\n"))
}
