//! The same guest on wasmtime alone, for the benchmark that measures what the platform adds.

use bumpalo::Bump;
use foreshard_decide::contract::Context;
use wasmtime::{
    Engine, Store,
    component::{Component, Linker, WasmStr},
};

use crate::{
    bindings::{ScalingPolicyPre, foreshard::policy::logging::Level},
    engine,
    limits::Limits,
    lower,
};

/// A component on wasmtime alone: the platform's engine, but no limits, checks, accounting or log.
pub struct Raw {
    engine: Engine,
    pre: ScalingPolicyPre<()>,
}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Raw").finish_non_exhaustive()
    }
}

impl Raw {
    /// Compiles `component` in this process.
    ///
    /// # Errors
    /// Whatever wasmtime says.
    pub fn new(component: &[u8]) -> wasmtime::Result<Self> {
        let engine = engine::running(&Limits::default(), 4)?;
        let component = Component::new(&engine, component)?;
        let mut linker = Linker::new(&engine);
        let mut logging = linker.instance("foreshard:policy/logging@0.1.0")?;
        logging.func_wrap("log", |_, _: (Level, WasmStr)| Ok(()))?;
        let pre = ScalingPolicyPre::new(linker.instantiate_pre(&component)?)?;
        Ok(Self { engine, pre })
    }

    /// Evaluates `count` times, each in a fresh instance, with an argument that is made once.
    ///
    /// # Errors
    /// Whatever wasmtime says.
    pub fn evaluate(&self, context: &Context, count: u32) -> wasmtime::Result<()> {
        let arena = Bump::new();
        let argument = lower::context(&arena, context);
        for _ in 0..count {
            let mut store = Store::new(&self.engine, ());
            store.set_epoch_deadline(u64::MAX / 2);
            store.set_fuel(u64::MAX / 2)?;
            let policy = self.pre.instantiate(&mut store)?;
            let scaling = policy.foreshard_policy_scaling();
            let answer = scaling.call_evaluate(&mut store, argument.clone())?;
            std::hint::black_box(answer).map_err(wasmtime::Error::msg)?;
        }
        Ok(())
    }
}
