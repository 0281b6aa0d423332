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
        let mysql = debian(Image::new(self.mysqld), "mysql", "mysqld")?;
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

/// VTAdmin as upstream's image has it: its programs, and where the page is, one of our own that says so: the real one is
/// built by npm.
///
/// # Errors
/// Parts that are missing.
pub fn vtadmin(name: &str) -> Result<Image, Error> {
    let vtadmin = parts::find("vtadmin")?.program("vtadmin");
    let image = debian(Image::new(name), "nginx", "nginx")?;
    let image = image
        .program(vtadmin, "vt/bin/vtadmin")
        .text(
            "etc/nginx/mime.types",
            "types { text/html html; application/javascript js; }\n",
        )
        .text(
            "var/www/index.html",
            "<title>in place of VTAdmin's page</title>\n",
        )
        .text("var/www/config/config.js", "window.env = {};\n");
    with_shell(image)
}

/// With the programs of a part that is made of packages.
fn debian(image: Image, part: &'static str, program: &str) -> Result<Image, Error> {
    // What stands for a server's folder of programs is beside it.
    let program = parts::find(part)?.program(program);
    let part = program.parent().and_then(Path::parent);
    let root = part.unwrap_or(Path::new("/")).join("root/usr");
    let image = image.tree(&root, "usr").map_err(BedError::file(&root))?;
    Ok(image.link("lib", "usr/lib").link("lib64", "usr/lib64"))
}

/// A store that speaks S3, as `versitygw`, under the name that it is asked for, with a shell to look into it.
///
/// # Errors
/// Parts that are missing.
pub fn object_store(name: &str) -> Result<Image, Error> {
    let store = parts::find("versitygw")?.program("versitygw");
    with_shell(Image::new(name).program(store, "usr/bin/versitygw"))
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
