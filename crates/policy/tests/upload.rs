//! What is refused before it runs, in the words that its author reads.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests, and so are their helpers"
)]

mod support;

use std::{fs, time::Instant};

use foreshard_policy::{Compiler, Host, HostConfig, Limits, Refusal, Tier, inspect};
use support::{guest, jail};

const EMPTY_POLICY: &str =
    r#"(instance $i) (export "foreshard:policy/scaling@0.1.0" (instance $i))"#;

fn refusal(bytes: &[u8]) -> Refusal {
    inspect(bytes, Tier::Standard, &Limits::default()).unwrap_err()
}

fn component(inside: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {inside})")).unwrap()
}

#[test]
fn what_is_no_policy_is_refused_in_clear_words() {
    let core = wat::parse_str("(module)").unwrap();
    let cases: [(&str, Vec<u8>, &str, &str); 11] = [
        (
            "a text file",
            b"hello, world".to_vec(),
            "not-wasm",
            "it is a text",
        ),
        (
            "the text form",
            b"(component)".to_vec(),
            "not-wasm",
            "wasm-tools parse",
        ),
        ("an empty file", Vec::new(), "not-wasm", "it is empty"),
        (
            "a compressed file",
            b"\x1f\x8b\x08\xff\xff".to_vec(),
            "not-wasm",
            "gzip",
        ),
        (
            "100 MB",
            vec![0; 100_000_000],
            "too-large",
            "100000000 bytes, and 4194304 is the limit of the standard tier",
        ),
        (
            "a core module",
            core,
            "core-module",
            "a core WebAssembly module, not a component",
        ),
        (
            "an empty component",
            component(""),
            "other-world",
            "it exports nothing",
        ),
        (
            "another world",
            component(r#"(instance $i) (export "wasi:cli/run@0.2.3" (instance $i))"#),
            "other-world",
            "it exports wasi:cli/run@0.2.3",
        ),
        (
            "a later version",
            component(r#"(instance $i) (export "foreshard:policy/scaling@0.2.0" (instance $i))"#),
            "other-version",
            "built for foreshard:policy 0.2.0, and this server speaks 0.1.x",
        ),
        (
            "sockets",
            component(&format!(
                r#"(import "wasi:sockets/network@0.2.3" (instance)) {EMPTY_POLICY}"#
            )),
            "import-refused",
            "wasi:sockets/network@0.2.3",
        ),
        (
            "http",
            component(&format!(
                r#"(import "wasi:http/outgoing-handler@0.2.3" (instance)) {EMPTY_POLICY}"#
            )),
            "import-refused",
            "wasi:http/outgoing-handler@0.2.3",
        ),
    ];
    for (name, bytes, code, words) in cases {
        let refusal = refusal(&bytes);
        assert_eq!(refusal.code(), code, "{name}: {refusal}");
        assert!(format!("{refusal}").contains(words), "{name}: {refusal}");
        assert!(!refusal.fix().is_empty(), "{name}");
    }
    assert!(
        refusal(&wat::parse_str("(module)").unwrap())
            .fix()
            .contains("wasm-tools component new")
    );
}

#[test]
fn features_that_are_off_are_refused() {
    let cases = [
        ("64-bit memory", "(core module (memory i64 1))"),
        ("threads", "(core module (memory 1 1 shared))"),
        (
            "garbage collection",
            "(core module (type (struct (field i32))))",
        ),
        ("several memories", "(core module (memory 1) (memory 1))"),
        ("exceptions", "(core module (tag))"),
    ];
    for (name, inside) in cases {
        let refusal = refusal(&component(&format!("{inside} {EMPTY_POLICY}")));
        assert_eq!(refusal.code(), "invalid", "{name}: {refusal}");
    }
}

#[test]
fn inert_wasi_is_on_the_list_by_name() {
    let found = inspect(
        &component(&format!(
            r#"(import "wasi:clocks/wall-clock@0.2.3" (instance)) {EMPTY_POLICY}"#
        )),
        Tier::Standard,
        &Limits::default(),
    );
    assert_eq!(
        found.unwrap().imports[0].given,
        foreshard_policy::Given::Inert
    );
}

/// A function of `adds` live values in one block: the register allocator needs time that grows faster than that.
fn bomb(functions: usize, adds: usize) -> Vec<u8> {
    let body = "i32.const 1 ".repeat(adds) + &"i32.add ".repeat(adds - 1);
    let bodies = format!("(func (result i32) {body})").repeat(functions);
    component(&format!("(core module {bodies}) {EMPTY_POLICY}"))
}

#[test]
fn a_function_body_beyond_the_tier_is_not_compiled() {
    let refusal = refusal(&bomb(1, 40_000));
    assert_eq!(refusal.code(), "too-complex");
    assert!(
        refusal
            .to_string()
            .contains("65536 is the limit of the standard tier"),
        "{refusal}"
    );
}

#[test]
fn a_compile_bomb_is_stopped_by_its_limits() {
    let host = Host::new(HostConfig::new(jail())).unwrap();
    let begin = Instant::now();
    let refusal = host
        .load(&live_values(60, 1200), Tier::Standard)
        .unwrap_err();
    assert_eq!(refusal.code(), "compile-limit", "{refusal}");
    let wall = Limits::default().standard.compile_wall_seconds;
    assert!(
        begin.elapsed().as_secs() <= wall + 5,
        "{:?}",
        begin.elapsed()
    );
}

/// Functions that keep `values` results of calls alive at once.
fn live_values(functions: usize, values: usize) -> Vec<u8> {
    let mut body = String::new();
    for value in 0..values {
        body.push_str(&format!(
            "(local.set {value} (i64.load offset={} (i32.const 0)))",
            value * 8
        ));
    }
    for round in 0..3 {
        for value in 0..values {
            let other = (value * 7 + round) % values;
            body.push_str(&format!(
                "(local.set {value} (i64.mul (local.get {value}) (local.get {other})))"
            ));
        }
    }
    for value in 0..values {
        body.push_str(&format!(
            "(i64.store offset={} (i32.const 0) (local.get {value}))",
            value * 8
        ));
    }
    let locals = "i64 ".repeat(values);
    let bodies = format!("(func (local {locals}) {body})").repeat(functions);
    component(&format!("(core module (memory 1) {bodies}) {EMPTY_POLICY}"))
}

#[test]
fn machine_code_is_kept_by_digest_and_made_again_when_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("compiled");
    let load = || {
        let config = HostConfig::new(Compiler::InProcess).with_cache(cache.clone());
        Host::new(config)
            .unwrap()
            .load(&guest("hostile"), Tier::Standard)
            .unwrap()
            .about()
            .compile_time
    };
    assert!(load().is_some(), "compiled");
    assert!(load().is_none(), "kept");
    let entry = fs::read_dir(&cache)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let artifact = entry
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "cwasm"))
        .unwrap();
    let mut bytes = fs::read(&artifact).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&artifact, &bytes).unwrap();
    assert!(load().is_some(), "damaged, so compiled again");
    assert!(load().is_none(), "kept again");
    assert_eq!(refusal(&fs::read(&artifact).unwrap()).code(), "precompiled");
}

#[cfg(unix)]
#[test]
fn a_cache_that_others_can_write_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let config = HostConfig::new(Compiler::InProcess).with_cache(directory.path().to_owned());
    assert!(
        Host::new(config)
            .unwrap_err()
            .to_string()
            .contains("can't be used")
    );
}

#[test]
fn the_same_component_is_loaded_once() {
    let host = Host::new(HostConfig::new(Compiler::InProcess)).unwrap();
    let first = host.load(&guest("hostile"), Tier::Standard).unwrap();
    let second = host.load(&guest("hostile"), Tier::Standard).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &second));
    assert!(first.digest().starts_with("sha256:"));
}
