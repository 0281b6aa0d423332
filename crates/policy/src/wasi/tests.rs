//! The inert imports, called by a component that uses nothing else.

use wasmtime::{Store, component::Instance};

use super::*;
use crate::{engine, limits::Limits};

const USER: &str = r#"(component
    (import "wasi:io/poll@0.2.3" (instance $poll
        (export "pollable" (type $pollable (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $outer))
        (export "pollable" (type $pollable (eq $outer)))
        (export "now" (func (result u64)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
    (import "wasi:random/random@0.2.8" (instance $random
        (export "get-random-u64" (func (result u64)))))
    (import "wasi:cli/exit@0.2.3" (instance $exit
        (export "exit" (func (param "status" (result))))))
    (core func $now (canon lower (func $clock "now")))
    (core func $wait (canon lower (func $clock "subscribe-duration")))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core func $draw (canon lower (func $random "get-random-u64")))
    (core func $quit (canon lower (func $exit "exit")))
    (core module $m
        (import "host" "now" (func $now (result i64)))
        (import "host" "wait" (func $wait (param i64) (result i32)))
        (import "host" "block" (func $block (param i32)))
        (import "host" "draw" (func $draw (result i64)))
        (import "host" "quit" (func $quit (param i32)))
        (func (export "draw") (result i64) call $draw)
        (func (export "quit") (result i64) (call $quit (i32.const 0)) i64.const 0)
        (func (export "sleep") (result i64)
            (call $block (call $wait (i64.const 1000000000000000)))
            call $now))
    (core instance $i (instantiate $m (with "host" (instance
        (export "now" (func $now)) (export "wait" (func $wait)) (export "block" (func $block))
        (export "draw" (func $draw)) (export "quit" (func $quit))))))
    (func (export "draw") (result u64) (canon lift (core func $i "draw")))
    (func (export "quit") (result u64) (canon lift (core func $i "quit")))
    (func (export "sleep") (result u64) (canon lift (core func $i "sleep"))))"#;

fn start() -> (Store<Guest>, Instance) {
    let limits = Limits::default();
    let engine = engine::running(&limits, 1).unwrap();
    let component = Component::new(&engine, wat::parse_str(USER).unwrap()).unwrap();
    let mut linker = Linker::new(&engine);
    link(&mut linker, &engine, &component).unwrap();
    let mut store = Store::new(&engine, Guest::new(&limits.standard, &limits.call));
    store.set_epoch_deadline(1_000_000);
    store.set_fuel(100_000).unwrap();
    let instance = linker.instantiate(&mut store, &component).unwrap();
    (store, instance)
}

fn call(store: &mut Store<Guest>, instance: &Instance, name: &str) -> wasmtime::Result<u64> {
    let function = instance.get_typed_func::<(), (u64,)>(&mut *store, name)?;
    Ok(function.call(store, ())?.0)
}

#[test]
fn random_numbers_are_the_same_in_every_instance() {
    let drawn = || {
        let (mut store, instance) = start();
        [(); 3].map(|()| call(&mut store, &instance, "draw").unwrap())
    };
    let first = drawn();
    assert_eq!(first, drawn());
    assert!(first[0] != first[1] && first[1] != first[2]);
}

#[test]
fn waiting_returns_at_once_and_clocks_stand_still() {
    let (mut store, instance) = start();
    assert_eq!(call(&mut store, &instance, "sleep").unwrap(), NANOS);
    assert_eq!(call(&mut store, &instance, "sleep").unwrap(), NANOS);
}

#[test]
fn what_has_no_harmless_answer_stops_the_guest_by_name() {
    let (mut store, instance) = start();
    let error = call(&mut store, &instance, "quit").unwrap_err();
    let stopped = error.downcast_ref::<Stopped>().unwrap();
    assert_eq!(
        *stopped,
        Stopped::Call {
            name: "wasi:cli/exit#exit".to_owned()
        }
    );
}

#[test]
fn calls_cost_fuel() {
    let (mut store, instance) = start();
    store.set_fuel(CALL_FUEL / 2).unwrap();
    let error = call(&mut store, &instance, "draw").unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&wasmtime::Trap::OutOfFuel));
}

#[test]
fn the_list_is_by_interface_and_version() {
    assert!(is_inert("wasi:io/streams@0.2.0"));
    for refused in [
        "wasi:io/streams",
        "wasi:io/streams@0.3.0",
        "wasi:sockets/tcp@0.2.0",
        "wasi:http/types@0.2.0",
    ] {
        assert!(!is_inert(refused), "{refused}");
    }
}
