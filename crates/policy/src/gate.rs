//! Lets as many calls run at once as the pool has room for, and keeps the epoch moving while any runs.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use wasmtime::Engine;

/// Deadlines are counted in these.
pub(crate) const TICK_MS: u64 = 5;
/// The ticker sleeps after so many ticks without a call.
const IDLE_TICKS: u32 = 100;

#[derive(Debug, Default)]
struct State {
    running: u32,
    waiting: u32,
    calls: u64,
    ticker_sleeps: bool,
    closed: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    room: Condvar,
    work: Condvar,
    capacity: u32,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The gate; dropping it ends the ticker.
#[derive(Debug)]
pub(crate) struct Gate {
    shared: Arc<Shared>,
}

/// One running call.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    shared: &'a Shared,
}

impl Gate {
    pub(crate) fn new(engine: &Engine, capacity: u32) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            room: Condvar::new(),
            work: Condvar::new(),
            capacity,
        });
        let (ticked, engine) = (Arc::clone(&shared), engine.clone());
        thread::Builder::new()
            .name("policy-ticker".to_owned())
            .spawn(move || tick(&ticked, &engine))?;
        Ok(Self { shared })
    }

    /// Waits for room.
    pub(crate) fn enter(&self) -> Pass<'_> {
        let mut state = self.shared.lock();
        while state.running >= self.shared.capacity {
            state.waiting += 1;
            state = self
                .shared
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        state.running += 1;
        state.calls = state.calls.wrapping_add(1);
        if state.ticker_sleeps {
            state.ticker_sleeps = false;
            self.shared.work.notify_one();
        }
        drop(state);
        Pass {
            shared: &self.shared,
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_one();
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.running -= 1;
        if state.waiting > 0 {
            self.shared.room.notify_one();
        }
    }
}

fn tick(shared: &Shared, engine: &Engine) {
    let (mut idle, mut seen) = (0, 0);
    loop {
        let mut state = shared.lock();
        let busy = state.running > 0 || state.calls != seen;
        seen = state.calls;
        idle = if busy { 0 } else { idle + 1 };
        if idle > IDLE_TICKS {
            state.ticker_sleeps = true;
            while state.ticker_sleeps && !state.closed {
                state = shared
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            idle = 0;
        }
        if state.closed {
            return;
        }
        drop(state);
        thread::sleep(Duration::from_millis(TICK_MS));
        engine.increment_epoch();
    }
}
