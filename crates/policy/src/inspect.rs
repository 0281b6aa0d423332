//! Looks through an uploaded component before anything is compiled.

use serde::Serialize;
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

use crate::{
    limits::{Limits, Tier, TierLimits},
    refusal::Refusal,
    wasi,
};

const INTERFACE: &str = "foreshard:policy/scaling";
const PLATFORM: [&str; 2] = ["foreshard:policy/types", "foreshard:policy/logging"];

/// What is inside a component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// Its size.
    pub bytes: u64,
    /// The version of `foreshard:policy` that it was built for.
    pub interface_version: String,
    /// What it imports, in its order.
    pub imports: Vec<Import>,
    /// What it exports, in its order; all but `foreshard:policy/scaling` is ignored.
    pub exports: Vec<String>,
    /// Core modules inside it.
    pub core_modules: u64,
    /// Functions of all of them.
    pub functions: u64,
    /// The largest body.
    pub largest_function_bytes: u64,
    /// Linear memories.
    pub memories: u64,
    /// Tables.
    pub tables: u64,
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Import {
    /// Its name, with the version.
    pub name: String,
    /// What gives it.
    pub given: Given,
}

/// What gives an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Given {
    /// The platform.
    Platform,
    /// A WASI interface that does nothing: compilers leave it behind.
    Inert,
}

/// Looks through `bytes`.
///
/// # Errors
/// Why they are not taken.
pub fn inspect(bytes: &[u8], tier: Tier, limits: &Limits) -> Result<Inspection, Refusal> {
    let of_tier = limits.of(tier);
    let size = bytes.len() as u64;
    if size > of_tier.component_bytes {
        return Err(Refusal::TooLarge {
            bytes: size,
            limit: of_tier.component_bytes,
            tier,
        });
    }
    magic(bytes)?;
    let mut found = Inspection {
        bytes: size,
        ..Inspection::default()
    };
    walk(bytes, tier, of_tier, &mut found)?;
    world(&mut found)?;
    Validator::new_with_features(features())
        .validate_all(bytes)
        .map_err(|error| invalid(&error))?;
    Ok(found)
}

fn magic(bytes: &[u8]) -> Result<(), Refusal> {
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(Refusal::Precompiled);
    }
    if Parser::is_component(bytes) {
        return Ok(());
    }
    if Parser::is_core_wasm(bytes) {
        return Err(Refusal::CoreModule);
    }
    let text = std::str::from_utf8(&bytes[..bytes.len().min(64)]);
    let found = match (bytes.len(), text) {
        (0, _) => "it is empty",
        (_, Ok(text)) if text.trim_start().starts_with('(') => {
            "it is the text form; `wasm-tools parse` makes the binary one"
        }
        (_, Ok(_)) => "it is a text",
        (_, Err(_)) if bytes.starts_with(b"\x1f\x8b") => "it is compressed with gzip",
        (_, Err(_)) => "it starts like nothing known",
    };
    Err(Refusal::NotWasm {
        found: found.to_owned(),
    })
}

fn walk(
    bytes: &[u8],
    tier: Tier,
    limits: &TierLimits,
    found: &mut Inspection,
) -> Result<(), Refusal> {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| invalid(&error))? {
            Payload::Version { encoding, .. } => {
                if encoding == Encoding::Module {
                    found.core_modules += 1;
                }
                depth += 1;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imported(import.map_err(|error| invalid(&error))?.name.name, found)?;
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    found.exports.push(
                        export
                            .map_err(|error| invalid(&error))?
                            .name
                            .name
                            .to_owned(),
                    );
                }
            }
            Payload::MemorySection(section) => found.memories += u64::from(section.count()),
            Payload::TableSection(section) => found.tables += u64::from(section.count()),
            Payload::FunctionSection(section) => found.functions += u64::from(section.count()),
            Payload::CodeSectionEntry(body) => {
                let range = body.range();
                let bytes = range.end.saturating_sub(range.start);
                found.largest_function_bytes = found.largest_function_bytes.max(bytes);
            }
            _ => {}
        }
        bounded(tier, limits, found)?;
    }
    Ok(())
}

fn bounded(tier: Tier, limits: &TierLimits, found: &Inspection) -> Result<(), Refusal> {
    let all = [
        (
            "the largest function body, in bytes,",
            found.largest_function_bytes,
            limits.function_body_bytes,
        ),
        ("the number of functions", found.functions, limits.functions),
        (
            "the number of core modules",
            found.core_modules,
            limits.core_modules,
        ),
        ("the number of memories", found.memories, limits.memories),
        ("the number of tables", found.tables, limits.tables),
    ];
    for (what, value, limit) in all {
        if value > limit {
            return Err(Refusal::TooComplex {
                what: what.to_owned(),
                value,
                limit,
                tier,
            });
        }
    }
    Ok(())
}

fn imported(name: &str, found: &mut Inspection) -> Result<(), Refusal> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    let given = if PLATFORM.contains(&interface) {
        if !version.starts_with("0.1.") {
            return Err(Refusal::OtherVersion {
                version: version.to_owned(),
            });
        }
        Given::Platform
    } else if wasi::is_inert(name) {
        Given::Inert
    } else {
        return Err(Refusal::Import {
            import: name.to_owned(),
        });
    };
    found.imports.push(Import {
        name: name.to_owned(),
        given,
    });
    Ok(())
}

fn world(found: &mut Inspection) -> Result<(), Refusal> {
    let version_of = |name: &String| {
        let (interface, version) = name.split_once('@')?;
        (interface == INTERFACE).then(|| version.to_owned())
    };
    let Some(version) = found.exports.iter().find_map(version_of) else {
        let exports = match found.exports.as_slice() {
            [] => "it exports nothing".to_owned(),
            names => format!(
                "it exports {}",
                names.iter().take(8).cloned().collect::<Vec<_>>().join(", ")
            ),
        };
        return Err(Refusal::OtherWorld { found: exports });
    };
    if !version.starts_with("0.1.") {
        return Err(Refusal::OtherVersion { version });
    }
    found.interface_version = version;
    Ok(())
}

/// What the engine compiles: no threads, 64-bit or multiple memories, garbage collection, or exceptions.
fn features() -> WasmFeatures {
    WasmFeatures::WASM2
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::COMPONENT_MODEL
}

fn invalid(error: &wasmparser::BinaryReaderError) -> Refusal {
    Refusal::Invalid {
        reason: format!("{} (at offset {:#x})", error.message(), error.offset()),
    }
}
