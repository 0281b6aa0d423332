//! Components that nobody should upload.

const EMPTY_POLICY: &str =
    r#"(instance $i) (export "foreshard:policy/scaling@0.1.0" (instance $i))"#;

/// A component from its text.
pub(crate) fn component(inside: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {inside})")).unwrap()
}

/// One that looks like a policy and has this inside.
pub(crate) fn policy_with(inside: &str) -> Vec<u8> {
    component(&format!("{inside} {EMPTY_POLICY}"))
}

/// Functions that each keep many values alive at once: a register allocator needs time that grows faster than that.
pub(crate) fn live_values(functions: usize, values: usize) -> Vec<u8> {
    let mut body = String::new();
    for value in 0..values {
        let offset = value * 8;
        body.push_str(&format!(
            "(local.set {value} (i64.load offset={offset} (i32.const 0)))"
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
        let offset = value * 8;
        body.push_str(&format!(
            "(i64.store offset={offset} (i32.const 0) (local.get {value}))"
        ));
    }
    let locals = "i64 ".repeat(values);
    let bodies = format!("(func (local {locals}) {body})").repeat(functions);
    policy_with(&format!("(core module (memory 1) {bodies})"))
}

/// Loops within loops that change locals on their way: an optimizer's time grows with the square of both. 3,000 of them
/// fit into a function body of the standard tier and take minutes.
pub(crate) fn nested_loops(depth: usize) -> Vec<u8> {
    const LOCALS: usize = 200;
    let enters = (0..depth).map(|loop_| {
        let local = loop_ % LOCALS;
        format!("loop local.get {local} i32.const 1 i32.add local.set {local} ")
    });
    let leaves = (0..depth).rev().map(|loop_| {
        let local = loop_ % LOCALS;
        format!(
            "local.get {local} i32.const {} i32.lt_s br_if 0 end ",
            loop_ % 60
        )
    });
    let body: String = enters.chain(leaves).collect();
    let locals = "i32 ".repeat(LOCALS);
    policy_with(&format!("(core module (func (local {locals}) {body}))"))
}

/// A built-in policy, which is as good as any user's.
pub(crate) fn good() -> &'static [u8] {
    foreshard_builtin::component("target-tracking").unwrap()
}
