//! Compiles what nobody trusts in a process of its own, under limits: a few hundred kilobytes can keep a compiler busy
//! for minutes.

mod room;

use std::{
    ffi::OsString,
    io::{Read, Write},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    sync::{Condvar, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use rlimit::{Resource, setrlimit};

use crate::{
    engine,
    limits::{Limits, Tier, TierLimits},
    refusal::Refusal,
};

/// The first argument of a program that is asked to compile.
pub const ARGUMENT: &str = "__compile-policy";

const COMPILE_FAILED: u8 = 10;
const NO_LIMITS: u8 = 11;
/// SIGABRT.
const ABORTED: i32 = 6;
const MESSAGE_BYTES_MAX: u64 = 4096;

/// Children at one time, of one thread each: compilers alone never take all of the two processors that a pod of the
/// operator has, whoever uploads how much. Only one of them may take the memory of an interpreter. More wait.
static PLACES: Places = Places {
    free: Mutex::new(Free { all: 2, large: 1 }),
    left: Condvar::new(),
};

/// Nine tenths for whoever wants processor time as well: nobody waits for a compiler but who uploads.
const NICENESS: i32 = 10;

/// How components are compiled.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// In a child process: a program whose `main` calls [`child_main`] when its first argument is [`ARGUMENT`].
    Jail(PathBuf),
    /// In this process, without limits: for components that are as trusted as this program, and for tests.
    InProcess,
}

impl Compiler {
    /// A jail that runs this same program.
    ///
    /// # Errors
    /// When the program's own path is not known.
    pub fn this_program() -> std::io::Result<Self> {
        Ok(Self::Jail(std::env::current_exe()?))
    }
}

/// Compiles `component`.
pub(crate) fn compile(
    compiler: &Compiler,
    component: &[u8],
    tier: Tier,
    limits: &Limits,
) -> Result<Vec<u8>, Refusal> {
    match compiler {
        Compiler::InProcess => engine::compiling(limits)
            .and_then(|engine| engine.precompile_component(component))
            .map_err(|error| Refusal::Compile {
                reason: format!("{error:#}"),
            }),
        Compiler::Jail(program) => {
            let _place = PLACES.take(tier);
            let space = Space::of(tier, limits, room::left(Path::new(room::CGROUP)));
            if space.bytes < room::LEAST_BYTES {
                return Err(space.too_small());
            }
            let child =
                start(program, tier, space.bytes).map_err(|error| Refusal::Unavailable {
                    reason: format!("start {}: {error}", program.display()),
                })?;
            converse(child, component, limits.of(tier), space)
        }
    }
}

/// The address space of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Space {
    bytes: u64,
    /// The tier would give more than this container has.
    is_cut: bool,
}

impl Space {
    /// Beside the one interpreter there is always place for a standard component.
    fn of(tier: Tier, limits: &Limits, left: Option<u64>) -> Self {
        let wanted = limits.of(tier).compile_address_space_bytes;
        let others = match tier {
            Tier::Standard => 0,
            Tier::Interpreter => limits.standard.compile_address_space_bytes,
        };
        let left = left.map_or(wanted, |left| left.saturating_sub(others));
        Self {
            bytes: wanted.min(left),
            is_cut: left < wanted,
        }
    }

    fn too_small(self) -> Refusal {
        let reason = format!(
            "the memory limit of this container leaves {} MiB for compiling, which is too little: raise it \
             (resources.limits.memory)",
            self.bytes >> 20
        );
        Refusal::Unavailable { reason }
    }
}

fn start(program: &PathBuf, tier: Tier, address_space_bytes: u64) -> std::io::Result<Child> {
    let mut command = Command::new(program);
    command
        .arg(ARGUMENT)
        .arg(tier.to_string())
        .arg(address_space_bytes.to_string());
    // Nothing of the server's environment, and little address space for a thread that only compiles.
    command
        .env_clear()
        .env("RAYON_NUM_THREADS", "1")
        .env("MALLOC_ARENA_MAX", "2");
    command.current_dir("/");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// So many at one time.
struct Places {
    free: Mutex<Free>,
    left: Condvar,
}

struct Free {
    all: usize,
    /// Of these for interpreters.
    large: usize,
}

/// A place that is taken.
struct Place<'a> {
    places: &'a Places,
    large: usize,
}

impl Places {
    /// Waits for a place. No section under the lock can panic.
    fn take(&self, tier: Tier) -> Place<'_> {
        let large = usize::from(tier == Tier::Interpreter);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |free: &mut Free| free.all == 0 || free.large < large;
        let waited = self.left.wait_while(free, is_full);
        let mut free = waited.unwrap_or_else(PoisonError::into_inner);
        free.all -= 1;
        free.large -= large;
        Place {
            places: self,
            large,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let free = self.places.free.lock();
        let mut free = free.unwrap_or_else(PoisonError::into_inner);
        free.all += 1;
        free.large += self.large;
        self.places.left.notify_all();
    }
}

/// Kills the child when it is given up.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // Both fail only when it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn converse(
    mut child: Child,
    component: &[u8],
    limits: &TierLimits,
    space: Space,
) -> Result<Vec<u8>, Refusal> {
    let unavailable = |what: &str| Refusal::Unavailable {
        reason: format!("the compiling process has no {what}"),
    };
    let mut input = child.stdin.take().ok_or_else(|| unavailable("input"))?;
    let output = child.stdout.take().ok_or_else(|| unavailable("output"))?;
    let errors = child
        .stderr
        .take()
        .ok_or_else(|| unavailable("error output"))?;
    let mut child = Reaped(child);
    thread::scope(|scope| {
        // It may end before it has read all; what it says is then the reason.
        scope.spawn(move || input.write_all(component));
        let (sender, ended) = mpsc::channel();
        let artifact_bytes_max = limits.artifact_bytes + 1;
        scope.spawn(move || {
            let artifact = read(output, artifact_bytes_max);
            let message = read(errors, MESSAGE_BYTES_MAX);
            // The receiver is gone when the child was too slow.
            let _ = sender.send((artifact, message));
        });
        let wall = Duration::from_secs(limits.compile_wall_seconds);
        let Ok((artifact, message)) = ended.recv_timeout(wall) else {
            drop(child);
            let reason = format!("it took longer than {} s", limits.compile_wall_seconds);
            return Err(Refusal::CompileLimit { reason });
        };
        if artifact.len() as u64 > limits.artifact_bytes {
            let reason = format!(
                "the machine code has more than {} bytes",
                limits.artifact_bytes
            );
            return Err(Refusal::CompileLimit { reason });
        }
        let status = child.0.wait().map_err(|error| Refusal::Unavailable {
            reason: error.to_string(),
        })?;
        judge(status, artifact, &message, (limits, space))
    })
}

fn read(mut from: impl Read, bytes_max: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read until an error is judged with the exit status.
    let _ = from.by_ref().take(bytes_max).read_to_end(&mut bytes);
    bytes
}

fn judge(
    status: ExitStatus,
    artifact: Vec<u8>,
    message: &[u8],
    (limits, space): (&TierLimits, Space),
) -> Result<Vec<u8>, Refusal> {
    let message = String::from_utf8_lossy(message).trim().to_owned();
    match status.code() {
        Some(0) if !artifact.is_empty() => Ok(artifact),
        Some(code) if code == i32::from(COMPILE_FAILED) => {
            Err(Refusal::Compile { reason: message })
        }
        Some(code) => {
            let reason = format!("the compiling process ended with {code}: {message}");
            Err(Refusal::Unavailable { reason })
        }
        // Aborted because it got no memory, which is not the component's fault where the tier would give more.
        None if status.signal() == Some(ABORTED) && space.is_cut => Err(space.too_small()),
        // Or killed by the limit on processor time (SIGXCPU, then SIGKILL).
        None => {
            let reason = format!(
                "it took more than {} s of processor time or {} MiB of memory",
                limits.compile_cpu_seconds,
                space.bytes >> 20
            );
            Err(Refusal::CompileLimit { reason })
        }
    }
}

/// Whether the program was started to compile: if so, `main` should do nothing but return [`child_main`].
#[must_use]
pub fn is_child(first_argument: Option<OsString>) -> bool {
    first_argument.is_some_and(|argument| argument == ARGUMENT)
}

/// Compiles the component on standard input to standard output, after putting this process under limits.
///
/// The second argument of the program is the tier, the third the address space in bytes.
#[must_use]
pub fn child_main() -> ExitCode {
    let tier = match std::env::args().nth(2).as_deref() {
        Some("interpreter") => Tier::Interpreter,
        _ => Tier::Standard,
    };
    let limits = Limits::default();
    let most = limits.of(tier).compile_address_space_bytes;
    let asked = std::env::args().nth(3);
    let asked = asked.and_then(|bytes| bytes.parse().ok());
    let space: u64 = asked.unwrap_or(most).min(most);
    if let Err(error) = confine(limits.of(tier), space) {
        eprintln!("limits can't be set: {error}");
        return ExitCode::from(NO_LIMITS);
    }
    // A panic of the compiler would come back with every try: it is a refusal like any other.
    std::panic::set_hook(Box::new(|panic| {
        let said = panic.payload_as_str().unwrap_or("it did not say why");
        eprintln!("the compiler gave up: {said}");
    }));
    match std::panic::catch_unwind(|| run(&limits)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("{error:#}");
            ExitCode::from(COMPILE_FAILED)
        }
        Err(_panic) => ExitCode::from(COMPILE_FAILED),
    }
}

fn confine(limits: &TierLimits, space: u64) -> std::io::Result<()> {
    rustix::process::nice(NICENESS)?;
    let cpu = limits.compile_cpu_seconds;
    setrlimit(Resource::CPU, cpu, cpu + 1)?;
    setrlimit(Resource::AS, space, space)?;
    setrlimit(Resource::CORE, 0, 0)?;
    setrlimit(Resource::FSIZE, 0, 0)?;
    setrlimit(Resource::NOFILE, 16, 16)
}

fn run(limits: &Limits) -> wasmtime::Result<()> {
    let mut component = Vec::new();
    std::io::stdin().lock().read_to_end(&mut component)?;
    let artifact = engine::compiling(limits)?.precompile_component(&component)?;
    std::io::stdout().lock().write_all(&artifact)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_leaves_room_for_a_small_one_beside_a_large_one() {
        let limits = Limits::default();
        let mib = |space: Space| (space.bytes >> 20, space.is_cut);
        let of = |tier, left: Option<u64>| mib(Space::of(tier, &limits, left.map(|it| it << 20)));
        assert_eq!(of(Tier::Standard, None), (512, false));
        assert_eq!(of(Tier::Interpreter, None), (1024, false));
        assert_eq!(of(Tier::Standard, Some(1100)), (512, false));
        assert_eq!(of(Tier::Interpreter, Some(1100)), (588, true));
        assert_eq!(of(Tier::Interpreter, Some(300)), (0, true));
        assert_eq!(of(Tier::Standard, Some(300)), (300, true));
    }
}
