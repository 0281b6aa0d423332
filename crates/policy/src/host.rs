//! Loads policies and asks them.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use bumpalo::Bump;
use foreshard_decide::contract::{Context, Verdict};
use wasmtime::{
    Engine, StoreContextMut,
    component::{Component, Linker, WasmStr},
};

use crate::{
    bindings::{ScalingPolicyPre, foreshard::policy::logging::Level},
    cache::{self, Cache},
    check,
    digest::sha256_hex,
    engine,
    failure::{Failure, FailureKind},
    gate::Gate,
    guest::{Guest, Log, LogLevel},
    inspect::inspect,
    jail::{self, Compiler},
    lift,
    limits::{Limits, Tier},
    lower,
    module::{self, Module},
    refusal::Refusal,
    wasi,
};

/// How a host is set up.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// How components are compiled.
    pub compiler: Compiler,
    /// Where machine code is kept; nowhere when absent.
    pub cache_directory: Option<PathBuf>,
    /// Calls that may run at once; more wait.
    pub concurrency: u32,
}

impl HostConfig {
    /// A host that compiles with `compiler`, keeps no machine code, and has room for twice as many calls as there are
    /// processors.
    #[must_use]
    pub fn new(compiler: Compiler) -> Self {
        let processors = thread::available_parallelism().map_or(1, |count| count.get());
        let concurrency = u32::try_from(processors * 2)
            .unwrap_or(u32::MAX)
            .clamp(4, 64);
        Self {
            compiler,
            cache_directory: None,
            concurrency,
        }
    }

    /// The same with machine code kept where this user's caches are (`$XDG_CACHE_HOME`, else `~/.cache`), when that is a
    /// place that only this user can write.
    #[must_use]
    pub fn with_user_cache(self) -> Self {
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        let base = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
        match base.filter(|base| base.is_absolute()) {
            Some(base) => {
                let directory = base.join("foreshard").join("policies");
                match cache::make_private(&directory) {
                    Ok(()) => self.with_cache(directory),
                    Err(error) => {
                        tracing::info!(%error, "compiled policies are not kept");
                        self
                    }
                }
            }
            None => self,
        }
    }

    /// The same with machine code kept in `directory`.
    #[must_use]
    pub fn with_cache(mut self, directory: PathBuf) -> Self {
        self.cache_directory = Some(directory);
        self
    }
}

/// Why there is no host.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The engine could not be set up.
    #[error("the WebAssembly engine can't be set up: {0}")]
    Engine(String),
    /// The cache can't be used.
    #[error("the directory of compiled policies can't be used: {0}")]
    Cache(#[source] std::io::Error),
    /// No thread could be started.
    #[error("the ticker can't be started: {0}")]
    Ticker(#[source] std::io::Error),
}

/// What modules need of their host.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) limits: Limits,
    pub(crate) gate: Gate,
}

/// Loads policies and asks them. One is enough for a process; all methods may be called from many threads and may
/// block.
pub struct Host {
    shared: Arc<Shared>,
    compiler: Compiler,
    cache: Option<Cache>,
    loaded: Mutex<HashMap<(String, Tier), Weak<Module>>>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("compiler", &self.compiler)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

/// One answer, with what it took.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// What the policy said; [`Verdict::Abstain`] when it failed.
    pub verdict: Verdict,
    /// What went wrong.
    pub finding: Option<Failure>,
    /// Fuel that the call took, without instantiation; the same in every run.
    pub fuel_used: u64,
    /// Linear memory of the instance at its end.
    pub memory_bytes: usize,
    /// Time from the question to the answer, instantiation included, waiting for room not.
    pub duration: Duration,
    /// What the policy wrote.
    pub log: Log,
}

impl Host {
    /// Sets up a host.
    ///
    /// # Errors
    /// When the engine, its address space, the cache's directory or a thread can't be had.
    pub fn new(config: HostConfig) -> Result<Self, HostError> {
        let limits = Limits::default();
        let engine = engine::running(&limits, config.concurrency.max(1))
            .map_err(|error| HostError::Engine(format!("{error:#}")))?;
        let cache = config
            .cache_directory
            .as_deref()
            .map(|directory| Cache::open(directory, &engine));
        let cache = cache.transpose().map_err(HostError::Cache)?;
        let gate = Gate::new(&engine, config.concurrency.max(1)).map_err(HostError::Ticker)?;
        let shared = Arc::new(Shared {
            engine,
            limits,
            gate,
        });
        Ok(Self {
            shared,
            compiler: config.compiler,
            cache,
            loaded: Mutex::default(),
        })
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Checks a component, compiles it, and asks it what it is. A component that is loaded already is not compiled
    /// again.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn load(&self, component: &[u8], tier: Tier) -> Result<Arc<Module>, Refusal> {
        let limit = self.shared.limits.of(tier).component_bytes;
        if component.len() as u64 > limit {
            return Err(Refusal::TooLarge {
                bytes: component.len() as u64,
                limit,
                tier,
            });
        }
        let hex = sha256_hex(component);
        let key = (hex, tier);
        let loaded = || self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = loaded().get(&key).and_then(Weak::upgrade) {
            return Ok(module);
        }
        let inspection = inspect(component, tier, &self.shared.limits)?;
        let (compiled, compile_time) = self.compiled(component, &key.0, tier)?;
        let pre = self.link(&compiled)?;
        let digest = format!("sha256:{}", key.0);
        let shared = Arc::clone(&self.shared);
        let module = Arc::new(Module::describe(
            shared,
            pre,
            digest,
            tier,
            inspection,
            compile_time,
        )?);
        let mut loaded = loaded();
        loaded.retain(|_, module| module.strong_count() > 0);
        loaded.insert(key, Arc::downgrade(&module));
        Ok(module)
    }

    fn compiled(
        &self,
        component: &[u8],
        hex: &str,
        tier: Tier,
    ) -> Result<(Component, Option<Duration>), Refusal> {
        if let Some(compiled) = self
            .cache
            .as_ref()
            .and_then(|cache| cache.get(&self.shared.engine, hex))
        {
            return Ok((compiled, None));
        }
        let start = Instant::now();
        let artifact = jail::compile(&self.compiler, component, tier, &self.shared.limits)?;
        let compile_time = start.elapsed();
        if let Some(cache) = &self.cache
            && let Err(error) = cache.put(hex, &artifact)
        {
            tracing::warn!(%error, "a compiled policy could not be kept");
        }
        let compiled = cache::load_bytes(&self.shared.engine, &artifact);
        let compiled = compiled.map_err(|error| Refusal::Unavailable {
            reason: format!("{error:#}"),
        })?;
        Ok((compiled, Some(compile_time)))
    }

    fn link(&self, component: &Component) -> Result<ScalingPolicyPre<Guest>, Refusal> {
        let engine = &self.shared.engine;
        let mut linker = Linker::new(engine);
        let linked =
            link_logging(&mut linker).and_then(|()| wasi::link(&mut linker, engine, component));
        linked.map_err(|error| Refusal::Unavailable {
            reason: format!("{error:#}"),
        })?;
        let pre = linker
            .instantiate_pre(component)
            .and_then(ScalingPolicyPre::new);
        pre.map_err(|error| Refusal::OtherWorld {
            found: format!("{error:#}"),
        })
    }

    /// Asks a policy. Nothing that it does can fail this: it then abstains, and the finding says why.
    ///
    /// The config is the context's, and should be one that [`Module::configure`] took.
    #[must_use]
    pub fn evaluate(&self, module: &Module, context: &Context) -> Evaluation {
        let _pass = self.shared.gate.enter();
        let begin = Instant::now();
        let mut evaluation = match self.ask(module, context) {
            Ok(evaluation) => evaluation,
            Err(failure) => Evaluation::failed(failure),
        };
        evaluation.duration = begin.elapsed();
        evaluation
    }

    fn ask(&self, module: &Module, context: &Context) -> Result<Evaluation, Failure> {
        let limits = &self.shared.limits;
        let mut running = module::start(
            &self.shared,
            module.pre(),
            module.about().tier,
            limits.call.evaluate_fuel,
        )?;
        let arena = Bump::with_capacity(arena_bytes(context));
        let said = running
            .policy
            .foreshard_policy_scaling()
            .call_evaluate(&mut running.store, lower::context(&arena, context));
        let answered = match said {
            Ok(Ok(verdict)) => {
                let verdict = lift::verdict(verdict);
                check::verdict(&limits.answer, module.descriptor(), context, &verdict)
                    .map(|()| verdict)
            }
            Ok(Err(mut reported)) => {
                check::cut(&mut reported, limits.answer.sentence_bytes);
                Err(Failure::new(
                    FailureKind::Reported,
                    format!("the policy reports: {reported}"),
                ))
            }
            Err(error) => Err(Failure::of_call(&error)),
        };
        let (verdict, finding) = match answered {
            Ok(verdict) => (verdict, None),
            Err(failure) => (Verdict::Abstain(failure.message.clone()), Some(failure)),
        };
        Ok(Evaluation {
            verdict,
            finding,
            fuel_used: running.fuel_used(),
            memory_bytes: running.memory_bytes(),
            duration: Duration::ZERO,
            log: running.take_log(),
        })
    }
}

impl Evaluation {
    fn failed(failure: Failure) -> Self {
        Self {
            verdict: Verdict::Abstain(failure.message.clone()),
            finding: Some(failure),
            fuel_used: 0,
            memory_bytes: 0,
            duration: Duration::ZERO,
            log: Log::default(),
        }
    }
}

/// About what the records of a context take, so that the arena is one allocation.
fn arena_bytes(context: &Context) -> usize {
    2048 + context.parts.len() * 1024 + context.signals.len() * 192 + context.forecasts.len() * 512
}

fn link_logging(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut logging = linker.instance("foreshard:policy/logging@0.1.0")?;
    logging.func_wrap(
        "log",
        |mut store: StoreContextMut<'_, Guest>, (level, message): (Level, WasmStr)| {
            let text = message.to_str(&store)?;
            let fuel = store.data().log_fuel(text.len());
            let text = text.into_owned();
            wasi::charge(&mut store, fuel)?;
            let level = match level {
                Level::Debug => LogLevel::Debug,
                Level::Info => LogLevel::Info,
                Level::Warn => LogLevel::Warn,
            };
            store.data_mut().log(level, &text);
            Ok(())
        },
    )
}
