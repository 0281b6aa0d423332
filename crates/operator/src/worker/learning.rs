//! What a policy does not know yet in its first minutes, or in the first ones after a restart.
//!
//! It decides from the first sample on, by the reactive rule, so that a rise is met at once. Models are fitted one after
//! the other, when the history is there; until then nothing shrinks: what is there may be there for a rise that only a
//! forecast knows of.

use tokio::sync::OwnedSemaphorePermit;

/// A history that cannot be read to its end is done without after this.
const READING_SECONDS_MAX: i64 = 600;
/// Nobody waits for a first forecast longer.
const HOLDING_SECONDS_MAX: i64 = 1_800;

/// How far the learning is.
#[derive(Debug)]
pub(super) struct Learning {
    begun: i64,
    now: i64,
    reads: bool,
    owes_fits: bool,
    is_fitted: bool,
    turn: Option<OwnedSemaphorePermit>,
}

impl Learning {
    /// Nothing is known; Unix seconds.
    pub(super) fn begun(now: i64) -> Self {
        Self {
            begun: now,
            now,
            reads: true,
            owes_fits: false,
            is_fitted: false,
            turn: None,
        }
    }

    /// Whether histories are being read.
    pub(super) fn reads(&self) -> bool {
        self.reads
    }

    /// Whether to wait for a turn to fit models.
    pub(super) fn wants_turn(&self) -> bool {
        self.owes_fits && !self.reads && self.turn.is_none()
    }

    /// It is our turn.
    pub(super) fn turn(&mut self, permit: Option<OwnedSemaphorePermit>) {
        self.turn = permit;
    }

    /// Before an evaluation: the turn, if there is one to be used.
    pub(super) fn may_fit(&mut self, now: i64, reads: bool) -> Option<OwnedSemaphorePermit> {
        self.now = now;
        self.reads = reads && now - self.begun < READING_SECONDS_MAX;
        self.turn.take()
    }

    /// After a pass. One that did not come to an evaluation (no target, no answer) leaves the turn to others, and waits
    /// for none until an evaluation owes fits again.
    pub(super) fn give_back(&mut self) {
        if self.turn.take().is_some() {
            self.owes_fits = false;
        }
    }

    /// After an evaluation.
    pub(super) fn learned(&mut self, owes_fits: bool, is_fitted: bool) {
        self.owes_fits = owes_fits;
        self.is_fitted = is_fitted;
    }

    /// Why nothing may be taken away, if so.
    pub(super) fn holds(&self) -> Option<&'static str> {
        let waits = self.now - self.begun < HOLDING_SECONDS_MAX;
        match (self.reads, self.is_fitted) {
            _ if !waits => None,
            (true, _) => Some("the history is still being read"),
            (false, false) => Some("the first forecast is still to be made"),
            (false, true) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_away_before_the_first_forecast() {
        let mut learning = Learning::begun(0);
        assert!(learning.holds().is_some() && !learning.wants_turn());
        assert!(learning.may_fit(5, true).is_none());
        learning.learned(true, false);
        assert_eq!(learning.holds(), Some("the history is still being read"));
        assert!(!learning.wants_turn(), "a fit to half a history is no use");
        assert!(learning.may_fit(60, false).is_none());
        learning.learned(true, false);
        assert!(learning.wants_turn() && learning.holds().is_some());
        learning.may_fit(61, false);
        learning.learned(false, true);
        assert!(!learning.wants_turn() && learning.holds().is_none());
    }

    #[tokio::test]
    async fn a_turn_that_is_not_used_is_left_to_others() {
        let fits = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
        let mut learning = Learning::begun(0);
        learning.may_fit(60, false);
        learning.learned(true, false);
        learning.turn(std::sync::Arc::clone(&fits).acquire_owned().await.ok());
        learning.give_back();
        assert_eq!(fits.available_permits(), 1);
        assert!(!learning.wants_turn());
    }

    #[test]
    fn what_cannot_be_learned_is_not_waited_for_for_ever() {
        let mut learning = Learning::begun(0);
        learning.may_fit(READING_SECONDS_MAX, true);
        learning.learned(true, false);
        assert!(learning.wants_turn(), "what is there must do");
        learning.may_fit(HOLDING_SECONDS_MAX, true);
        assert_eq!(learning.holds(), None);
    }
}
