//! `cargo xtask image`: the operator as a container image, without a container engine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use foreshard_testbed::Image;

use crate::{demo, shell};

/// Where certificate authorities are on Debian, Fedora and Alpine.
const AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
/// What `deploy/kustomize` asks for.
const NAME: &str = "ghcr.io/foreshard/foreshard:0.1.0";
/// Nobody in particular, and never root.
const USER: u32 = 65_532;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image's full name.
    #[arg(long, default_value = NAME)]
    name: String,
    /// A release binary that is there already [default: build it].
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Writes the image of this machine's architecture as an OCI archive below `target/images`.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let binary = match args.binary {
        Some(binary) => binary,
        None => demo::build_release()?,
    };
    let folder = demo::target_folder()?.join("images");
    fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let file = args.name.rsplit('/').next().unwrap_or("foreshard");
    let path = folder.join(format!("{}.tar", file.replace(':', "-")));
    image(&args.name, &binary)?
        .write(&path)
        .with_context(|| format!("failed to write {}", path.display()))?;
    let size = fs::metadata(&path)?.len() / (1024 * 1024);
    println!("{} ({size} MiB): {}", path.display(), args.name);
    println!(
        "    load it: ctr -n k8s.io images import {}",
        path.display()
    );
    println!(
        "    or push it: skopeo copy oci-archive:{} docker://{}",
        path.display(),
        args.name
    );
    Ok(())
}

/// Writes the image of the binary as tests build it: a release binary takes too long for them.
pub(crate) fn run_debug() -> anyhow::Result<()> {
    // The command line's own tests have it built, of the same crates and features as every other test.
    shell::run(&mut shell::cargo([
        "test",
        "--workspace",
        "--locked",
        "--no-run",
        "--test",
        "cli",
    ]))?;
    run(Args {
        name: NAME.to_owned(),
        binary: Some(demo::target_folder()?.join("debug/foreshard")),
    })
}

/// The binary, the libraries that it is linked with, certificate authorities, and a user.
fn image(name: &str, binary: &Path) -> anyhow::Result<Image> {
    let authorities = AUTHORITIES
        .into_iter()
        .find(|path| Path::new(path).is_file())
        .with_context(|| {
            format!(
                "none of {} is there: install ca-certificates",
                AUTHORITIES.join(", ")
            )
        })?;
    let image = Image::new(name)
        .entrypoint(["/usr/bin/foreshard"])
        .user(USER)
        .program(binary, "usr/bin/foreshard")
        .text(
            "etc/ssl/certs/ca-certificates.crt",
            fs::read_to_string(authorities)?,
        )
        .text(
            "etc/passwd",
            format!("nonroot:x:{USER}:{USER}::/nonexistent:/sbin/nologin\n"),
        )
        .text("etc/group", format!("nonroot:x:{USER}:\n"));
    image
        .libraries_of(binary)
        .with_context(|| format!("libraries of {}", binary.display()))
}
