//! Backtests that a server is asked for: each in a child process of this same program, which gives way to everything
//! else, has a limit on memory and processor time, and ends when it is killed.

mod child;

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use foreshard_forecast::Series;
use foreshard_history::trace::{self, ReadOptions};
use foreshard_server::{BacktestOrder, BacktestSettings, Backtests, Issue, Load, Progress};
use foreshard_sim::replay::{Options, ReplayError, World};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::zone;

pub(crate) use child::{child_main, is_child};

/// The first argument of a program that is asked to replay.
const ARGUMENT: &str = "__backtest";
/// Of a load: two months of minutes, and as long as a quarter. The processor time that this takes is a minute or so.
const BINS_MAX: usize = 150_000;
const SPAN_DAYS_MAX: i64 = 100;
/// Of memory that a child writes to: a policy may have 256 MiB of it, a replay of that size takes 50.
const MEMORY_MIB_MAX: u64 = 384;
const CPU_SECONDS_MAX: u64 = 900;
/// What a child says, with its result.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;
const MESSAGE_BYTES_MAX: u64 = 4096;
/// What a child needs to find the cache of compiled policies, and the zones.
const ENVIRONMENT: [&str; 4] = ["HOME", "XDG_CACHE_HOME", "TMPDIR", "TZDIR"];

/// Runs backtests in children.
pub(crate) struct Runner {
    program: PathBuf,
}

/// The first line that a child is told; the trace and the component follow.
#[derive(Serialize, Deserialize)]
struct Head {
    settings: BacktestSettings,
    load: String,
    csv_bytes: usize,
    policy: String,
    /// None: the default policy.
    component_bytes: Option<usize>,
    config: String,
}

/// One line that a child says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said {
    Progress(u8),
    Result(serde_json::Value),
}

impl Runner {
    /// With children of this program.
    pub(crate) fn this_program() -> std::io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            program: std::env::current_exe()?,
        }))
    }
}

impl Backtests for Runner {
    fn check(&self, settings: &BacktestSettings, load: &Load) -> Result<(), Vec<Issue>> {
        let mut issues = Vec::new();
        let mut fault = |path: &str, message: String| {
            let path = path.to_owned();
            issues.push(Issue { path, message });
        };
        if !(settings.budget > 0.0 && settings.budget < 1.0) {
            fault("budget", "not between 0 and 1".to_owned());
        }
        let capacity = settings.capacity.unwrap_or(1.0);
        if !(capacity > 0.0 && capacity.is_finite()) {
            fault("capacity", "not above 0".to_owned());
        }
        let series = series(load).map_err(|message| fault("trace", message));
        if let Ok(series) = &series
            && zone::calendar(&settings.timezone, series.start, series.end()).is_err()
        {
            let message = "no such zone; give an IANA name such as Europe/Berlin or UTC";
            fault("timezone", message.to_owned());
        }
        let Ok(series) = series else {
            return Err(issues);
        };
        if issues.is_empty()
            && let Err(error) = World::new(&series, &options(settings))
        {
            let path = match error {
                ReplayError::Lag { .. } => "lagSeconds",
                _ => "",
            };
            let (path, message) = (path.to_owned(), error.to_string());
            issues.push(Issue { path, message });
        }
        if issues.is_empty() {
            Ok(())
        } else {
            Err(issues)
        }
    }

    fn run<'a>(
        &'a self,
        order: BacktestOrder,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<serde_json::Value, String>> {
        Box::pin(async move {
            let child = start(&self.program)
                .map_err(|error| format!("starting {}: {error}", self.program.display()))?;
            converse(child, order, progress).await
        })
    }
}

/// The load, if it is not too long.
fn series(load: &Load) -> Result<Series, String> {
    let options = ReadOptions { bins_max: BINS_MAX };
    let read = trace::read_from(
        Path::new(&load.name),
        Cursor::new(load.csv.clone()),
        &options,
    );
    let series = read.map_err(|error| error.to_string())?;
    let span = series.end().saturating_sub(series.start);
    if span > SPAN_DAYS_MAX * 86_400 {
        return Err(format!("longer than {SPAN_DAYS_MAX} days; send less of it"));
    }
    Ok(series)
}

fn options(settings: &BacktestSettings) -> Options {
    Options {
        lag_seconds: settings.lag_seconds,
        capacity: settings.capacity,
        seed: settings.seed,
    }
}

fn start(program: &Path) -> std::io::Result<Child> {
    let kept = ENVIRONMENT
        .iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    Command::new(program)
        .arg(ARGUMENT)
        .env_clear()
        .envs(kept)
        .env("RAYON_NUM_THREADS", "1")
        .env("MALLOC_ARENA_MAX", "2")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

async fn converse(
    mut child: Child,
    order: BacktestOrder,
    progress: &Progress,
) -> Result<serde_json::Value, String> {
    let (Some(mut input), Some(output), Some(errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err("the replaying process has no pipes".to_owned());
    };
    let BacktestOrder {
        load,
        policy,
        settings,
    } = order;
    let component = policy.component.unwrap_or_default();
    let head = Head {
        settings,
        load: load.name,
        csv_bytes: load.csv.len(),
        policy: policy.name,
        component_bytes: (!component.is_empty()).then_some(component.len()),
        config: policy.config,
    };
    let mut head = serde_json::to_vec(&head).map_err(|error| error.to_string())?;
    head.push(b'\n');
    let told = async move {
        for bytes in [&head[..], &load.csv, &component] {
            // It may end before it has read all; what it says is then the reason.
            if input.write_all(bytes).await.is_err() {
                return;
            }
        }
    };
    let said = async {
        let mut lines = BufReader::new(output.take(OUTPUT_BYTES_MAX)).lines();
        let mut result = None;
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str(&line) {
                Ok(Said::Progress(percent)) => progress.set(percent),
                Ok(Said::Result(value)) => result = Some(value),
                Err(_) => break,
            }
        }
        result
    };
    let complained = async {
        let mut message = Vec::new();
        // What was read until an error is judged with the exit status.
        let _ = errors
            .take(MESSAGE_BYTES_MAX)
            .read_to_end(&mut message)
            .await;
        String::from_utf8_lossy(&message).trim().to_owned()
    };
    let ((), result, message) = tokio::join!(told, said, complained);
    let status = child.wait().await.map_err(|error| error.to_string())?;
    judge(status, result, message)
}

fn judge(
    status: ExitStatus,
    result: Option<serde_json::Value>,
    message: String,
) -> Result<serde_json::Value, String> {
    match (status.code(), result) {
        (Some(0), Some(result)) => Ok(result),
        (Some(_), _) if !message.is_empty() => Err(message),
        (Some(code), _) => Err(format!("the replaying process ended with {code}")),
        // Killed: by the limit on processor time, or aborted because it got no memory.
        (None, _) => Err(format!(
            "it took more than {CPU_SECONDS_MAX} s of processor time or {MEMORY_MIB_MAX} MiB of memory"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> BacktestSettings {
        BacktestSettings {
            lag_seconds: 600,
            budget: 0.01,
            capacity: None,
            seed: 1,
            timezone: "UTC".to_owned(),
        }
    }

    /// Hours of bins of five minutes.
    fn load(hours: i64) -> Load {
        let rows = (0..hours * 12).map(|bin| format!("{},{}\n", bin * 300, 100 + bin % 50));
        let csv = "timestamp,value\n".to_owned() + &rows.collect::<String>();
        Load {
            name: "trace".to_owned(),
            csv: csv.into(),
        }
    }

    #[test]
    fn what_cannot_be_replayed_is_said_by_field() {
        let runner = Runner {
            program: PathBuf::new(),
        };
        assert_eq!(runner.check(&settings(), &load(72)), Ok(()));
        let check = |settings: BacktestSettings, load: Load| {
            let issues = runner.check(&settings, &load).unwrap_err();
            issues
                .into_iter()
                .map(|issue| issue.path)
                .collect::<Vec<_>>()
        };
        let wrong = BacktestSettings {
            budget: 1.0,
            capacity: Some(0.0),
            timezone: "Mars".to_owned(),
            ..settings()
        };
        assert_eq!(check(wrong, load(72)), ["budget", "capacity", "timezone"]);
        let early = BacktestSettings {
            lag_seconds: -60,
            ..settings()
        };
        assert_eq!(check(early, load(72)), ["lagSeconds"]);
        assert_eq!(check(settings(), load(1)), [""], "too short");
        assert_eq!(check(settings(), load(101 * 24)), ["trace"]);
        let text = Load {
            csv: "nothing".into(),
            ..load(0)
        };
        assert_eq!(check(settings(), text), ["trace"]);
    }
}
