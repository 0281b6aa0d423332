//! The wasmtime engine: how guests are compiled and from which pool their instances come.

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::limits::{Limits, Tier};

/// What a reset keeps resident and zeroes itself instead of giving it back to the kernel: page faults and the
/// process-wide lock of the memory map cost more than that. Together with `pagemap_scan` it makes a fresh instance
/// three times cheaper, and lets two threads work at twice the speed of one.
const KEEP_RESIDENT_BYTES: usize = 2 << 20;
const TABLE_KEEP_RESIDENT_BYTES: usize = 64 << 10;
/// Room for one instance's own data (globals, table and memory descriptors).
const INSTANCE_BYTES: usize = 1 << 20;

/// The settings that machine code depends on; the compiling process and the running one must agree on them.
fn shared(limits: &Limits) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(usize::try_from(limits.call.stack_bytes).unwrap_or(512 << 10))
        .relaxed_simd_deterministic(true)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        .wasm_memory64(false)
        // wasmtime's own adapters copy from one memory to another where a component is made of several, as what
        // `componentize-qjs` builds is; `inspect` holds the modules of the guest to one memory each.
        .wasm_multi_memory(true)
        .wasm_stack_switching(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false);
    config
}

/// An engine that only compiles.
pub(crate) fn compiling(limits: &Limits) -> wasmtime::Result<Engine> {
    Engine::new(&shared(limits))
}

/// An engine that runs `concurrency` guests at once.
pub(crate) fn running(limits: &Limits, concurrency: u32) -> wasmtime::Result<Engine> {
    let mut config = shared(limits);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(
        limits,
        concurrency,
    )));
    Engine::new(&config)
}

fn pool(limits: &Limits, concurrency: u32) -> PoolingAllocationConfig {
    let largest = limits.of(Tier::Interpreter);
    let count = |limit: u64| u32::try_from(limit).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(concurrency)
        .total_core_instances(concurrency.saturating_mul(count(largest.instances)))
        .total_memories(concurrency.saturating_mul(count(largest.memories)))
        .total_tables(concurrency.saturating_mul(count(largest.tables)))
        .max_core_instances_per_component(count(largest.instances))
        .max_memories_per_component(count(largest.memories))
        .max_tables_per_component(count(largest.tables))
        .max_memories_per_module(1)
        .max_tables_per_module(count(largest.tables))
        .max_component_instance_size(INSTANCE_BYTES)
        .max_core_instance_size(INSTANCE_BYTES)
        .table_elements(usize::try_from(largest.table_elements).unwrap_or(usize::MAX))
        .max_memory_size(usize::try_from(largest.memory_bytes).unwrap_or(usize::MAX))
        .max_unused_warm_slots(concurrency)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES)
        .pagemap_scan(if cfg!(target_os = "linux") {
            Enabled::Auto
        } else {
            Enabled::No
        });
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_inside_a_component_can_hand_each_other_strings() {
        let composed = wat::parse_str(
            r#"(component
                (component $callee
                    (core module $m
                        (memory (export "memory") 1)
                        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16))
                        (func (export "take") (param i32 i32)))
                    (core instance $i (instantiate $m))
                    (func (export "take") (param "text" string)
                        (canon lift (core func $i "take") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
                (component $caller
                    (import "take" (func $take (param "text" string)))
                    (core module $memory (memory (export "memory") 1))
                    (core instance $memory (instantiate $memory))
                    (core func $lowered (canon lower (func $take) (memory (core memory $memory "memory"))))
                    (core module $m
                        (import "" "take" (func $take (param i32 i32)))
                        (func (export "run") (call $take (i32.const 0) (i32.const 4))))
                    (core instance $i (instantiate $m (with "" (instance (export "take" (func $lowered))))))
                    (func (export "run") (canon lift (core func $i "run"))))
                (instance $callee (instantiate $callee))
                (instance $caller (instantiate $caller (with "take" (func $callee "take"))))
                (export "run" (func $caller "run")))"#,
        )
        .unwrap();
        let engine = compiling(&Limits::default()).unwrap();
        engine.precompile_component(&composed).unwrap();
    }
}
