//! The child that replays.

use std::ffi::OsString;
use std::io::{self, BufRead as _, Read, Write as _};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context as _;
use foreshard_server::Load;
use foreshard_sim::replay::{Peers, World};
use indicatif::ProgressBar;
use rlimit::{Resource, setrlimit};

use super::super::user::{TARGET_KIND, UserPolicy};
use super::super::{Judged, Prepared, judge};
use super::{ARGUMENT, CPU_SECONDS_MAX, Head, MEMORY_MIB_MAX, Said, options, series};
use crate::bound::{self, Bound};
use crate::zone;

/// Nine tenths for whoever wants processor time as well.
const NICENESS: i32 = 10;
/// How often it says how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// The policy where none is given.
const DEFAULT_POLICY: &str = "forecast-headroom";

/// Whether the program was started to replay: if so, `main` should do nothing but return [`child_main`].
pub(crate) fn is_child(first_argument: Option<OsString>) -> bool {
    first_argument.is_some_and(|argument| argument == ARGUMENT)
}

/// Replays what standard input says, after putting this process under limits.
pub(crate) fn child_main() -> ExitCode {
    match confine().and_then(|()| run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn confine() -> anyhow::Result<()> {
    let memory = MEMORY_MIB_MAX << 20;
    let limits = || {
        rustix::process::nice(NICENESS)?;
        setrlimit(Resource::CPU, CPU_SECONDS_MAX, CPU_SECONDS_MAX + 1)?;
        // Not the address space: memories of policies are laid out in more of it than they may use.
        setrlimit(Resource::DATA, memory, memory)?;
        setrlimit(Resource::CORE, 0, 0)
    };
    limits().context("limits can't be set")
}

fn run() -> anyhow::Result<()> {
    let mut input = io::stdin().lock();
    let mut line = String::new();
    input.read_line(&mut line)?;
    let head: Head = serde_json::from_str(&line)?;
    let csv = taken(&mut input, head.csv_bytes)?;
    let component = head.component_bytes;
    let component = component
        .map(|bytes| taken(&mut input, bytes))
        .transpose()?;
    let load = Load {
        name: head.load.clone(),
        csv: csv.into(),
    };
    let series = series(&load).map_err(anyhow::Error::msg)?;
    let calendar = zone::calendar(&head.settings.timezone, series.start, series.end())?;
    let user = user(&head, component.as_deref())?;
    let world = World::new(&series, &options(&head.settings))?;
    let one = Prepared {
        name: head.load,
        peers: Peers::new(&world),
        world,
        calendar,
    };
    let judged = watched(&one, &user)?;
    say(&Said::Result(serde_json::to_value(judged)?))
}

fn taken(input: &mut impl Read, bytes: usize) -> io::Result<Vec<u8>> {
    let mut taken = vec![0; bytes];
    input.read_exact(&mut taken)?;
    Ok(taken)
}

fn user(head: &Head, component: Option<&[u8]>) -> anyhow::Result<UserPolicy<Bound>> {
    let host = bound::host()?;
    let component = match component {
        Some(component) => component,
        None => bound::builtin(DEFAULT_POLICY)?,
    };
    let module = bound::load_bytes(&host, component).map_err(|refusal| {
        let fix = refusal.fix();
        anyhow::anyhow!("{}: {refusal}; {fix}", head.policy)
    })?;
    let policies = Bound::new(&host, module, &head.policy, &head.config, TARGET_KIND)?;
    Ok(UserPolicy {
        name: head.policy.clone(),
        policies,
        budget: head.settings.budget,
        zone: head.settings.timezone.clone(),
    })
}

/// Replays, and says now and then how far it is.
fn watched(one: &Prepared, user: &UserPolicy<Bound>) -> anyhow::Result<Judged> {
    let bar = ProgressBar::hidden();
    let minutes = one.minutes().max(1);
    let (done, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let bar = &bar;
        scope.spawn(move || {
            while ended.recv_timeout(PROGRESS_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let percent = bar.position().saturating_mul(100) / minutes;
                // Whoever asked is gone, and will kill this process.
                let _ = say(&Said::Progress(u8::try_from(percent).unwrap_or(100)));
            }
        });
        let judged = judge(one, user, None, bar);
        drop(done);
        judged
    })
}

fn say(said: &Said) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    let mut output = io::stdout().lock();
    output.write_all(&line)?;
    Ok(output.flush()?)
}
