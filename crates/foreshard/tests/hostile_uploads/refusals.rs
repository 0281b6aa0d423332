//! Every other hostile component, by both ways.

use std::time::Duration;

use crate::components::{component, good, policy_with};
use crate::operator::Operator;

/// Each with the status and the kind of the answer to its upload.
fn hostile() -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let imports = |name: &str| policy_with(&format!(r#"(import "{name}" (instance))"#));
    let exports =
        |name: &str| component(&format!(r#"(instance $i) (export "{name}" (instance $i))"#));
    let bad = |name, bytes, kind| (name, bytes, 422, kind);
    vec![
        bad("a-text", b"hello, world".to_vec(), "not-wasm"),
        bad("the-text-form", b"(component)".to_vec(), "not-wasm"),
        bad("compressed", b"\x1f\x8b\x08\xff\xff".to_vec(), "not-wasm"),
        bad(
            "a-core-module",
            wat::parse_str("(module)").unwrap(),
            "core-module",
        ),
        bad("empty", component(""), "other-world"),
        bad("a-command", exports("wasi:cli/run@0.2.3"), "other-world"),
        bad(
            "of-the-future",
            exports("foreshard:policy/scaling@0.2.0"),
            "other-version",
        ),
        bad(
            "sockets",
            imports("wasi:sockets/network@0.2.3"),
            "import-refused",
        ),
        bad(
            "http",
            imports("wasi:http/outgoing-handler@0.2.3"),
            "import-refused",
        ),
        bad(
            "wide-memory",
            policy_with("(core module (memory i64 1))"),
            "invalid",
        ),
        bad(
            "threads",
            policy_with("(core module (memory 1 1 shared))"),
            "invalid",
        ),
        bad(
            "several-memories",
            policy_with("(core module (memory 1) (memory 1))"),
            "invalid",
        ),
        bad("cut-short", good()[..good().len() / 2].to_vec(), "invalid"),
    ]
}

#[test]
fn hostile_components_are_refused_in_words_by_both_ways() {
    let Some(operator) = Operator::start("refusals") else {
        return;
    };
    let (caller, process) = (operator.caller(), operator.process());
    operator.apply_module("z-good", good());
    for (name, bytes, status, kind) in hostile() {
        let (answered, problem) = caller.ask("PUT", &format!("/policymodules/{name}"), &bytes);
        assert_eq!(answered, status, "{name}: {problem}");
        let wanted = format!("urn:foreshard:problem:{kind}");
        assert_eq!(problem["type"], wanted.as_str(), "{name}: {problem}");
        operator.apply_module(name, &bytes);
        let limit = Duration::from_secs(60);
        let message = operator.expect_module(name, "False", "Refused", limit);
        // The same words by both ways.
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            message.starts_with(detail),
            "{name}: {message} and {detail}"
        );
    }
    let (status, problem) = caller.ask("PUT", "/policymodules/large", &vec![0; 100_000_000]);
    assert_eq!(status, 413, "{problem}");
    operator.expect_module("z-good", "True", "Accepted", Duration::from_secs(30));
    operator.follow("web", "vector(900)");
    operator.expect_replicas("web", 9);
    assert_eq!(operator.process(), process, "it was started again");
}
