//! What goes on on one connection, so that it ends when nothing does.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// One connection's requests and what its client does not take.
#[derive(Clone, Debug)]
pub(crate) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Requests whose answer is not out yet.
    open: usize,
    /// When the last of them ended.
    idle_since: Instant,
    /// Since when the socket takes nothing more, and since when it does not get rid of what it took: TLS keeps some.
    write_blocked_since: Option<Instant>,
    flush_blocked_since: Option<Instant>,
    /// Answers of which a piece waits until the client takes it, and since when. In HTTP/2 each waits for itself, and the
    /// socket goes on for the others.
    waiting: HashMap<u64, Instant>,
    next_number: u64,
}

/// Why a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// Nobody asks anything.
    Idle,
    /// The client does not take what it has asked for.
    Stalled,
}

/// A request, from its head until its answer is out.
#[derive(Debug)]
pub(crate) struct Exchange {
    activity: Activity,
    number: u64,
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            open: 0,
            idle_since: Instant::now(),
            write_blocked_since: None,
            flush_blocked_since: None,
            waiting: HashMap::new(),
            next_number: 0,
        })))
    }

    /// A request begins.
    pub(crate) fn exchange(&self) -> Exchange {
        let mut state = self.state();
        state.open += 1;
        state.next_number += 1;
        Exchange {
            activity: self.clone(),
            number: state.next_number,
        }
    }

    /// The socket takes nothing more, or it does again.
    pub(crate) fn write_blocks(&self, blocks: bool) {
        let mut state = self.state();
        state.write_blocked_since = since(state.write_blocked_since, blocks);
    }

    /// The socket does not get rid of what it took, or it has.
    pub(crate) fn flush_blocks(&self, blocks: bool) {
        let mut state = self.state();
        state.flush_blocked_since = since(state.flush_blocked_since, blocks);
    }

    /// Waits until nothing was asked for `idle`, or something asked for was not taken for `stall`.
    pub(crate) async fn overdue(&self, idle: Duration, stall: Duration) -> Overdue {
        loop {
            let (at, why) = self.state().deadline(idle, stall);
            let now = Instant::now();
            if at <= now {
                return why;
            }
            // Nobody wakes this one when something begins to wait.
            sleep_until(at.min(now + stall)).await;
        }
    }

    /// No section under this lock can panic half way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next moment at which it may be overdue, and why it would be.
    fn deadline(&self, idle: Duration, stall: Duration) -> (Instant, Overdue) {
        let of_socket = [&self.write_blocked_since, &self.flush_blocked_since];
        let waiting = self.waiting.values();
        match waiting.chain(of_socket.into_iter().flatten()).min() {
            Some(since) => (*since + stall, Overdue::Stalled),
            None if self.open == 0 => (self.idle_since + idle, Overdue::Idle),
            None => (Instant::now() + stall, Overdue::Stalled),
        }
    }
}

/// The first moment of something that is still so.
fn since(before: Option<Instant>, is_so: bool) -> Option<Instant> {
    is_so.then(|| before.unwrap_or_else(Instant::now))
}

impl Exchange {
    /// A piece of the answer is on its way to the client.
    pub(crate) fn gives(&self) {
        let mut state = self.activity.state();
        state.waiting.insert(self.number, Instant::now());
    }

    /// The client has taken all so far.
    pub(crate) fn was_taken(&self) {
        self.activity.state().waiting.remove(&self.number);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.waiting.remove(&self.number);
        state.open = state.open.saturating_sub(1);
        state.idle_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);
    const STALL: Duration = Duration::from_secs(20);

    /// Why it ends and after how many seconds from now.
    async fn end(activity: &Activity) -> (Overdue, u64) {
        let begin = Instant::now();
        let why = activity.overdue(IDLE, STALL).await;
        (why, begin.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_idle_from_the_end_of_the_last_request() {
        let activity = Activity::new();
        assert_eq!(end(&activity).await, (Overdue::Idle, 60));
        drop(activity.exchange());
        assert_eq!(end(&activity).await, (Overdue::Idle, 60));
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_request_is_not_idle_and_stalls_only_with_a_piece_that_is_not_taken() {
        let activity = Activity::new();
        let exchange = activity.exchange();
        let day = Duration::from_secs(86_400);
        let open = tokio::time::timeout(day, end(&activity)).await;
        assert!(open.is_err(), "nothing waits for the client");
        exchange.gives();
        assert_eq!(end(&activity).await, (Overdue::Stalled, 20));
        exchange.was_taken();
        activity.write_blocks(true);
        tokio::time::sleep(STALL / 2).await;
        activity.write_blocks(true);
        activity.flush_blocks(false);
        assert_eq!(
            end(&activity).await,
            (Overdue::Stalled, 10),
            "the first counts"
        );
        activity.write_blocks(false);
        drop(exchange);
        assert_eq!(end(&activity).await, (Overdue::Idle, 60));
    }
}
