//! The WASI 0.2 imports that compilers leave behind, given by a named list and without any effect: nothing is read or
//! written, clocks stand still, waiting returns at once, random numbers are the same in every call. A policy remains a
//! function of its context.

use wasmtime::{
    Engine, StoreContextMut,
    component::{
        Component, Linker, LinkerInstance, Resource, ResourceType, Val,
        types::{ComponentInstance, ComponentItem},
    },
};

use crate::{failure::Stopped, guest::Guest};

/// Every interface that is given; sockets, http and all others are refused.
pub const INERT: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
];

/// All clocks stand at this: some runtimes take zero for a broken clock.
const NOW_SECONDS: u64 = 1;
const NANOS: u64 = 1_000_000_000;
/// What a stream says that it would take.
const STREAM_ROOM_BYTES: u64 = 64 << 10;
const RANDOM_BYTES_MAX: u64 = 4096;
/// What any of these calls costs.
const CALL_FUEL: u64 = 1_000;

/// Whether `import` (a name with its version) is on the list.
pub(crate) fn is_inert(import: &str) -> bool {
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    version.starts_with("0.2.") && INERT.contains(&interface)
}

/// Defines what `component` imports of the list.
pub(crate) fn link(
    linker: &mut Linker<Guest>,
    engine: &Engine,
    component: &Component,
) -> wasmtime::Result<()> {
    for (name, import) in component.component_type().imports(engine) {
        if let (true, ComponentItem::ComponentInstance(instance)) = (is_inert(name), import.ty) {
            let interface = name
                .split_once('@')
                .map_or(name, |(interface, _)| interface);
            define(linker.instance(name)?, engine, interface, &instance)?;
        }
    }
    Ok(())
}

fn define(
    mut at: LinkerInstance<'_, Guest>,
    engine: &Engine,
    interface: &str,
    instance: &ComponentInstance,
) -> wasmtime::Result<()> {
    for (name, export) in instance.exports(engine) {
        match export.ty {
            ComponentItem::Resource(_) => at.resource(name, resource(name), |_, _| Ok(()))?,
            ComponentItem::ComponentFunc(_) => {
                let (interface, function) = (interface.to_owned(), name.to_owned());
                at.func_new(name, move |mut store, _, arguments, results| {
                    charge(&mut store, CALL_FUEL)?;
                    let result = call(&mut store, &interface, &function, arguments)?;
                    give_back(&mut store, arguments)?;
                    if let (Some(slot), Some(value)) = (results.first_mut(), result) {
                        *slot = value;
                    }
                    Ok(())
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Ends the borrows, and the handles, that came as arguments.
fn give_back(store: &mut StoreContextMut<'_, Guest>, arguments: &[Val]) -> wasmtime::Result<()> {
    for argument in arguments {
        match argument {
            Val::Resource(resource) => resource.resource_drop(&mut *store)?,
            Val::List(inner) => give_back(store, inner)?,
            _ => {}
        }
    }
    Ok(())
}

/// Takes fuel for work of the host.
pub(crate) fn charge(store: &mut StoreContextMut<'_, Guest>, fuel: u64) -> wasmtime::Result<()> {
    let left = store.get_fuel()?;
    match left.checked_sub(fuel) {
        Some(left) => store.set_fuel(left),
        None => {
            store.set_fuel(0)?;
            Err(wasmtime::Trap::OutOfFuel.into())
        }
    }
}

struct Pollable;
struct InputStream;
struct OutputStream;
struct IoError;
struct Descriptor;
struct DirectoryEntries;
struct TerminalInput;
struct TerminalOutput;
struct Unknown;

fn resource(name: &str) -> ResourceType {
    match name {
        "pollable" => ResourceType::host::<Pollable>(),
        "input-stream" => ResourceType::host::<InputStream>(),
        "output-stream" => ResourceType::host::<OutputStream>(),
        "error" => ResourceType::host::<IoError>(),
        "descriptor" => ResourceType::host::<Descriptor>(),
        "directory-entry-stream" => ResourceType::host::<DirectoryEntries>(),
        "terminal-input" => ResourceType::host::<TerminalInput>(),
        "terminal-output" => ResourceType::host::<TerminalOutput>(),
        _ => ResourceType::host::<Unknown>(),
    }
}

fn own<T: 'static>(store: &mut StoreContextMut<'_, Guest>) -> wasmtime::Result<Option<Val>> {
    let resource = Resource::<T>::new_own(0).try_into_resource_any(store)?;
    Ok(Some(Val::Resource(resource)))
}

fn call(
    store: &mut StoreContextMut<'_, Guest>,
    interface: &str,
    function: &str,
    arguments: &[Val],
) -> wasmtime::Result<Option<Val>> {
    let value = match (interface, function) {
        ("wasi:cli/environment", "get-environment" | "get-arguments")
        | ("wasi:filesystem/preopens", "get-directories") => Val::List(Vec::new()),
        ("wasi:cli/environment", "initial-cwd")
        | ("wasi:cli/terminal-stdin", "get-terminal-stdin")
        | ("wasi:cli/terminal-stdout", "get-terminal-stdout")
        | ("wasi:cli/terminal-stderr", "get-terminal-stderr")
        | ("wasi:filesystem/types", "filesystem-error-code") => Val::Option(None),
        ("wasi:cli/stdin", "get-stdin") => return own::<InputStream>(store),
        ("wasi:cli/stdout", "get-stdout") | ("wasi:cli/stderr", "get-stderr") => {
            return own::<OutputStream>(store);
        }
        ("wasi:io/streams", "[method]output-stream.check-write") => {
            Val::Result(Ok(Some(Box::new(Val::U64(STREAM_ROOM_BYTES)))))
        }
        (
            "wasi:io/streams",
            "[method]output-stream.write"
            | "[method]output-stream.write-zeroes"
            | "[method]output-stream.blocking-write-and-flush"
            | "[method]output-stream.blocking-write-zeroes-and-flush"
            | "[method]output-stream.flush"
            | "[method]output-stream.blocking-flush",
        ) => Val::Result(Ok(None)),
        (
            "wasi:io/streams",
            "[method]input-stream.read"
            | "[method]input-stream.blocking-read"
            | "[method]input-stream.skip"
            | "[method]input-stream.blocking-skip",
        ) => Val::Result(Err(Some(Box::new(Val::Variant("closed".to_owned(), None))))),
        ("wasi:io/error", "[method]error.to-debug-string") => Val::String("closed".to_owned()),
        (_, "[method]input-stream.subscribe" | "[method]output-stream.subscribe")
        | ("wasi:clocks/monotonic-clock", "subscribe-instant" | "subscribe-duration") => {
            return own::<Pollable>(store);
        }
        ("wasi:io/poll", "[method]pollable.block") => return Ok(None),
        ("wasi:io/poll", "[method]pollable.ready") => Val::Bool(true),
        ("wasi:io/poll", "poll") => all_ready(arguments),
        ("wasi:clocks/monotonic-clock", "now") => Val::U64(NOW_SECONDS * NANOS),
        ("wasi:clocks/monotonic-clock", "resolution") => Val::U64(1),
        ("wasi:clocks/wall-clock", "now" | "resolution") => Val::Record(vec![
            ("seconds".to_owned(), Val::U64(NOW_SECONDS)),
            ("nanoseconds".to_owned(), Val::U32(0)),
        ]),
        (_, "get-random-u64" | "get-insecure-random-u64") => Val::U64(random(store)),
        (_, "get-random-bytes" | "get-insecure-random-bytes") => {
            random_bytes(store, interface, function, arguments)?
        }
        ("wasi:random/insecure-seed", "insecure-seed") => {
            Val::Tuple(vec![Val::U64(random(store)), Val::U64(random(store))])
        }
        _ => return Err(refused(interface, function)),
    };
    Ok(Some(value))
}

fn refused(interface: &str, function: &str) -> wasmtime::Error {
    Stopped::Call {
        name: format!("{interface}#{function}"),
    }
    .into()
}

fn all_ready(arguments: &[Val]) -> Val {
    let count = match arguments.first() {
        Some(Val::List(pollables)) => pollables.len(),
        _ => 0,
    };
    Val::List((0..).take(count).map(Val::U32).collect())
}

fn random_bytes(
    store: &mut StoreContextMut<'_, Guest>,
    interface: &str,
    function: &str,
    arguments: &[Val],
) -> wasmtime::Result<Val> {
    let count = match arguments.first() {
        Some(Val::U64(count)) if *count <= RANDOM_BYTES_MAX => *count,
        _ => return Err(refused(interface, function)),
    };
    charge(store, count)?;
    let bytes = (0..count).map(|_| Val::U8(random(store).to_le_bytes()[0]));
    Ok(Val::List(bytes.collect()))
}

/// SplitMix64, from the same seed in every call.
fn random(store: &mut StoreContextMut<'_, Guest>) -> u64 {
    let state = &mut store.data_mut().random;
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
