//! Progress of long work, on standard error where that is a terminal.

use std::time::Duration;

use foreshard_sim::replay::{Scaler, View};
use indicatif::{ProgressBar, ProgressStyle};

/// How often a policy's progress is shown, in ticks.
const SHOWN_TICKS: u64 = 64;

/// A bar of `length` steps.
pub(crate) fn bar(length: u64, doing: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:<32!} {wide_bar} {percent:>3} % {eta:>4}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(length)
        .with_style(style)
        .with_message(doing.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A scaler that moves a bar with every tick.
pub(crate) struct Watched<'a> {
    pub(crate) scaler: &'a mut dyn Scaler,
    pub(crate) bar: &'a ProgressBar,
    pub(crate) ticks: u64,
}

impl Scaler for Watched<'_> {
    fn decide(&mut self, view: &View<'_>) -> Option<u32> {
        self.ticks += 1;
        if self.ticks.is_multiple_of(SHOWN_TICKS) {
            self.bar.inc(SHOWN_TICKS);
        }
        self.scaler.decide(view)
    }
}
