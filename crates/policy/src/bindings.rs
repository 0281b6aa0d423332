//! `foreshard:policy@0.1.0` as the host speaks it, generated from `wit/policy/policy.wit`.

wasmtime::component::bindgen!({
    path: "../../wit/policy",
    world: "scaling-policy",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: { default: trappable },
});
