//! `cargo xtask testbed`: real Kubernetes, Vitess and Prometheus on this machine, in one command.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use foreshard_testbed::kinds::{KINDS, Kind};
use foreshard_testbed::parts::{self, Part, Progress};
use foreshard_testbed::{Bed, BedError, Summary, control_plane, home};

/// A line for people or pipes; a reader that has seen enough is no error.
macro_rules! say {
    ($($text:tt)*) => {
        if writeln!(io::stdout(), $($text)*).is_err() {
            std::process::exit(0);
        }
    };
}

/// Where progress is not overwritten in place, it is said this often.
const TELL_AGAIN: Duration = Duration::from_secs(30);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build or fetch parts, all of them unless some are named.
    Build {
        /// Names of parts, or of kinds of bed, which stand for their parts.
        parts: Vec<String>,
        /// List the parts instead.
        #[arg(long)]
        list: bool,
    },
    /// Bring a bed up; what it needs is built first.
    Up {
        /// The kind of bed: see `cargo xtask testbed up --help`.
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(KINDS.iter().map(possible)))]
        kind: String,
        /// Its name; several beds can stand side by side.
        #[arg(long)]
        name: Option<String>,
    },
    /// End a bed, or all of them: processes, mounts, namespaces, control groups, files.
    Down {
        /// The bed's name.
        #[arg(long)]
        name: Option<String>,
    },
    /// Show what is up, and which parts are built.
    Status,
    /// Print the log of a part.
    Logs {
        /// The part's name, as `status` shows it.
        part: String,
        /// The bed's name, if there are several.
        #[arg(long)]
        name: Option<String>,
    },
    /// Print the path of a bed's kubeconfig.
    Kubeconfig {
        /// The bed's name, if there are several.
        #[arg(long)]
        name: Option<String>,
    },
    /// Start a shell in which `kubectl` talks to a bed.
    Shell {
        /// The bed's name, if there are several.
        #[arg(long)]
        name: Option<String>,
    },
}

pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Build { list: true, .. } => list(),
        Command::Build { parts, .. } => build(&parts),
        Command::Up { kind, name } => up(&kind, name.as_deref()),
        Command::Down { name } => down(name.as_deref()),
        Command::Status => status(),
        Command::Logs { part, name } => logs(&part, name.as_deref()),
        Command::Kubeconfig { name } => {
            say!("{}", fact(&chosen(name.as_deref())?, "kubeconfig")?);
            Ok(())
        }
        Command::Shell { name } => shell(&chosen(name.as_deref())?),
    }
}

/// Builds parts with their progress shown.
pub(crate) fn build(names: &[String]) -> anyhow::Result<()> {
    let chosen = parts::select(names)?;
    let mut teller = Teller::default();
    let built = parts::build(&chosen, &mut |progress| teller.tell(progress));
    teller.end();
    built?;
    Ok(())
}

fn possible(kind: &Kind) -> clap::builder::PossibleValue {
    clap::builder::PossibleValue::new(kind.name).help(kind.about)
}

fn list() -> anyhow::Result<()> {
    for Part {
        name,
        version,
        beds,
        ..
    } in parts::PARTS
    {
        let state = parts::find(name).map_or("not built", |_| "built");
        let last = parts::last_duration(name).map_or_else(String::new, |last| {
            format!(", last built in {:.0} s", last.as_secs_f64())
        });
        say!(
            "{name:16} {version:12} {state}{last}; for {}",
            beds.join(", ")
        );
    }
    Ok(())
}

fn up(kind: &str, name: Option<&str>) -> anyhow::Result<()> {
    let kind = KINDS
        .iter()
        .find(|known| known.name == kind)
        .with_context(|| format!("there is no kind of bed `{kind}`"))?;
    // First, so that a name that cannot be had is not found out after minutes of building.
    let bed = Bed::create(name.unwrap_or(kind.name), kind.name)?;
    build(&[kind.name.to_owned()])?;
    let begun = Instant::now();
    let summary = (kind.up)(bed)?.keep()?;
    say!("ready in {:.1} s", begun.elapsed().as_secs_f64());
    show(&summary);
    say!(
        "end it with `cargo xtask testbed down --name {}`",
        summary.name
    );
    Ok(())
}

fn down(name: Option<&str>) -> anyhow::Result<()> {
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => Bed::list().into_iter().map(|bed| bed.name).collect(),
    };
    if names.is_empty() {
        say!("nothing is up");
    }
    let mut failed = Vec::new();
    for bed in names {
        match Bed::open(&bed).and_then(Bed::down) {
            Ok(()) => say!("{bed}: ended"),
            // A test that runs has its bed; only who names it may be told off.
            Err(error @ BedError::InUse { .. }) if name.is_none() => say!("{error}"),
            Err(error) => failed.push(error.to_string()),
        }
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    Ok(())
}

fn status() -> anyhow::Result<()> {
    let beds = Bed::list();
    if beds.is_empty() {
        say!("nothing is up");
    }
    beds.iter().for_each(show);
    say!("\nparts in {}:", home::folder().join("parts").display());
    list()
}

fn show(bed: &Summary) {
    if let Some(damage) = &bed.damage {
        say!("{} (damaged): {damage}", bed.name);
        return;
    }
    let stale = if bed.stale {
        ", stale: its runner is gone"
    } else {
        ""
    };
    say!("{} ({}{stale})", bed.name, bed.kind);
    for part in &bed.parts {
        let state = if part.alive { "up" } else { "GONE" };
        say!(
            "    {:24} {state:4}  process {}",
            part.name,
            part.process.pid
        );
    }
    for (what, port) in &bed.ports {
        say!("    {what:24} 127.0.0.1:{port}");
    }
    for (what, value) in &bed.facts {
        say!("    {what:24} {value}");
    }
}

fn logs(part: &str, name: Option<&str>) -> anyhow::Result<()> {
    let bed = chosen(name)?;
    let found = bed.parts.iter().find(|known| known.name == part);
    let Some(found) = found else {
        let known: Vec<&str> = bed.parts.iter().map(|part| part.name.as_str()).collect();
        bail!(
            "test bed `{}` has no part `{part}`; it has: {}",
            bed.name,
            known.join(", ")
        );
    };
    let mut log = fs::File::open(&found.log)
        .with_context(|| format!("failed to open {}", found.log.display()))?;
    match io::copy(&mut log, &mut io::stdout().lock()) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map(drop).context("failed to print the log"),
    }
}

fn shell(bed: &Summary) -> anyhow::Result<()> {
    let kubeconfig = fact(bed, "kubeconfig")?;
    let kubectl = fact(bed, "kubectl")?;
    let shell = env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    say!("KUBECONFIG={kubeconfig}; `exit` leaves, the bed stays up");
    let environment = control_plane::shell_environment(Path::new(kubeconfig), Path::new(kubectl));
    let status = Process::new(&shell)
        .envs(environment)
        .stdin(Stdio::inherit())
        .status()
        .with_context(|| format!("failed to start {}", shell.display()))?;
    if !status.success() {
        bail!("the shell ended with {status}");
    }
    Ok(())
}

/// The bed of that name, or the only one there is.
fn chosen(name: Option<&str>) -> anyhow::Result<Summary> {
    let beds = Bed::list();
    let names: Vec<String> = beds.iter().map(|bed| bed.name.clone()).collect();
    let mut fitting: Vec<Summary> = beds
        .into_iter()
        .filter(|bed| name.is_none_or(|name| bed.name == name))
        .collect();
    match (fitting.pop(), fitting.is_empty()) {
        (Some(bed), true) => Ok(bed),
        (Some(_), false) => bail!(
            "several beds are up: choose one with `--name`: {}",
            names.join(", ")
        ),
        (None, _) if names.is_empty() => {
            bail!("nothing is up: run `cargo xtask testbed up KIND` first")
        }
        (None, _) => bail!(
            "there is no test bed `{}`; running: {}",
            name.unwrap_or_default(),
            names.join(", ")
        ),
    }
}

fn fact<'a>(bed: &'a Summary, name: &str) -> anyhow::Result<&'a str> {
    let value = bed.facts.get(name);
    value.map(String::as_str).with_context(|| {
        format!(
            "test bed `{}` is a {}, which has no {name}",
            bed.name, bed.kind
        )
    })
}

/// Shows progress: in place on a terminal, seldom elsewhere.
#[derive(Debug, Default)]
struct Teller {
    shown: Option<(&'static str, Instant)>,
    in_place: bool,
}

impl Teller {
    fn tell(&mut self, progress: &Progress) {
        if io::stdout().is_terminal() {
            print!("\r\u{1b}[K    {progress}");
            self.in_place = true;
            if progress.done {
                self.end();
            }
            let _ = io::stdout().flush();
            return;
        }
        let due = self
            .shown
            .is_none_or(|(part, when)| part != progress.part || when.elapsed() >= TELL_AGAIN);
        if progress.done || (due && progress.elapsed > Duration::from_secs(1)) {
            say!("    {progress}");
            self.shown = Some((progress.part, Instant::now()));
        }
    }

    fn end(&mut self) {
        if self.in_place {
            say!();
            self.in_place = false;
        }
    }
}
