//! The images that every node has.

use std::path::PathBuf;

use crate::bed::{Bed, BedError};
use crate::image::Image;

use super::{BUSYBOX, Programs};

/// The commands of busybox that are there by their own names.
const APPLETS: [&str; 21] = [
    "sh", "cat", "date", "dd", "echo", "env", "grep", "hostname", "httpd", "ls", "mkdir", "nc",
    "nslookup", "rm", "sleep", "sync", "test", "timeout", "touch", "true", "wget",
];

/// Writes their archives into the bed.
pub(super) fn write(bed: &Bed, programs: &Programs) -> Result<Vec<PathBuf>, BedError> {
    bed.subfolder("images", None)?;
    let images = [
        pause(programs),
        busybox(programs),
        Image::new("docker.io/local/coredns:1")
            .entrypoint(["/coredns"])
            .program(programs.coredns.program("coredns"), "coredns"),
        Image::new("docker.io/local/local-path-provisioner:1")
            .entrypoint(["/usr/bin/local-path-provisioner"])
            .program(
                programs.storage.program("local-path-provisioner"),
                "usr/bin/local-path-provisioner",
            ),
    ];
    let write = |image: &Image| {
        let path = path(bed, image);
        image.write(&path).map_err(BedError::file(&path))?;
        Ok(path)
    };
    images.iter().map(write).collect()
}

/// Where an image's archive is.
pub(super) fn path(bed: &Bed, image: &Image) -> PathBuf {
    let name = image.name().replace(['/', ':'], "-");
    bed.folder().join("images").join(format!("{name}.tar"))
}

/// What holds a pod's namespaces open: it waits, and ends when it is told to.
fn pause(programs: &Programs) -> Image {
    Image::new("docker.io/local/pause:1")
        .entrypoint([
            "/busybox",
            "sh",
            "-c",
            "trap 'exit 0' TERM INT; while :; do /busybox sleep 3600 & wait $!; done",
        ])
        .program(programs.busybox.program("busybox"), "busybox")
}

fn busybox(programs: &Programs) -> Image {
    let image = Image::new(BUSYBOX)
        .entrypoint(Vec::<String>::new())
        .program(programs.busybox.program("busybox"), "bin/busybox")
        .folder("tmp", 0o1777)
        .folder("www", 0o755)
        .text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    APPLETS.iter().fold(image, |image, applet| {
        image.link(format!("bin/{applet}"), "busybox")
    })
}
