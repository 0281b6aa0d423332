//! Maxima over sliding windows.

use std::collections::VecDeque;

/// The maximum of the values offered at the ticks `[now - back, now]`.
pub(crate) struct TrailingMax<T> {
    back: usize,
    // Values fall from front to back: whatever a newer, larger one hides is dropped.
    kept: VecDeque<(usize, T)>,
}

impl<T: Copy + PartialOrd> TrailingMax<T> {
    /// Looks back over `back` ticks, the current one aside.
    pub(crate) fn new(back: usize) -> Self {
        Self {
            back,
            kept: VecDeque::new(),
        }
    }

    /// Adds the value of tick `now`, which must not lie before an earlier one.
    pub(crate) fn push(&mut self, now: usize, value: T) {
        while self.kept.back().is_some_and(|&(_, last)| last <= value) {
            self.kept.pop_back();
        }
        self.kept.push_back((now, value));
    }

    /// The maximum at tick `now`; none when nothing was offered in the window.
    pub(crate) fn get(&mut self, now: usize) -> Option<T> {
        while self
            .kept
            .front()
            .is_some_and(|&(at, _)| at + self.back < now)
        {
            self.kept.pop_front();
        }
        self.kept.front().map(|&(_, value)| value)
    }
}

/// At each index `i` the maximum over `[i, i + ahead]`, cut at the end.
pub(crate) fn maximum_ahead<T: Copy + PartialOrd>(values: &[T], ahead: usize) -> Vec<T> {
    let mut window = TrailingMax::new(ahead);
    let mut maxima: Vec<T> = values
        .iter()
        .rev()
        .enumerate()
        .map(|(now, &value)| {
            window.push(now, value);
            window.get(now).unwrap_or(value)
        })
        .collect();
    maxima.reverse();
    maxima
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_the_plain_maximum(values in prop::collection::vec(0_u32..9, 1..60), width in 0_usize..12) {
            let ahead = maximum_ahead(&values, width);
            let mut trailing = TrailingMax::new(width);
            for (i, &value) in values.iter().enumerate() {
                let end = (i + width + 1).min(values.len());
                prop_assert_eq!(Some(&ahead[i]), values[i..end].iter().max());
                trailing.push(i, value);
                let last = values[i.saturating_sub(width)..=i].iter().copied().max();
                prop_assert_eq!(trailing.get(i), last);
            }
        }
    }

    #[test]
    fn ticks_without_a_value_age_the_window() {
        let mut window = TrailingMax::new(2);
        window.push(0, 5);
        assert_eq!(window.get(2), Some(5));
        assert_eq!(window.get(3), None);
    }
}
