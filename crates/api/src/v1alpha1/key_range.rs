//! Ranges of keyspace identifiers.

use std::fmt;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Pattern of a bound: bytes in hexadecimal digits, without zero bytes at the end, which would say the same.
const BOUND_PATTERN: &str = "^(([0-9a-f]{2}){0,7}([1-9a-f][0-9a-f]|0[1-9a-f]))?$";

/// A range of keyspace identifiers, from `start` up to and without `end`.
#[derive(
    KubeSchema, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.end == '' || self.start < self.end").message("start is before end, or end is empty: nothing above it").reason(Reason::FieldValueInvalid))]
pub struct KeyRange {
    /// First identifier, in hexadecimal digits such as `80`; empty: nothing below it.
    #[serde(default)]
    #[schemars(length(max = 16), pattern(BOUND_PATTERN))]
    pub start: String,
    /// End, exclusive, in hexadecimal digits; empty: nothing above it.
    #[serde(default)]
    #[schemars(length(max = 16), pattern(BOUND_PATTERN))]
    pub end: String,
}

impl KeyRange {
    /// `count` ranges of the same width, in order; `count` is a power of two up to 256.
    #[must_use]
    pub fn equal(count: u32) -> Vec<Self> {
        let count = count.clamp(1, 256);
        let bound = |index: u32| match index * 256 / count {
            0 | 256 => String::new(),
            at => format!("{at:02x}"),
        };
        (0..count)
            .map(|index| Self {
                start: bound(index),
                end: bound(index + 1),
            })
            .collect()
    }

    /// As a part of names of objects and values of labels, which neither begin nor end with a dash: `x-80`, `80-x`.
    #[must_use]
    pub fn label(&self) -> String {
        let bound = |bound: &str| if bound.is_empty() { "x" } else { bound }.to_owned();
        format!("{}-{}", bound(&self.start), bound(&self.end))
    }
}

/// As Vitess writes it: `-80`, `80-`, and `-` for all.
impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ranges_tile() {
        let shown = |count| {
            let all = KeyRange::equal(count);
            all.iter().map(KeyRange::to_string).collect::<Vec<_>>()
        };
        assert_eq!(shown(1), ["-"]);
        assert_eq!(shown(2), ["-80", "80-"]);
        assert_eq!(shown(4), ["-40", "40-80", "80-c0", "c0-"]);
        for power in 0..=8 {
            let all = KeyRange::equal(1 << power);
            assert_eq!(all.len(), 1 << power);
            assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }

    #[test]
    fn open_bounds_have_a_letter_in_labels() {
        let all = KeyRange::equal(2);
        assert_eq!(
            (all[0].label(), all[1].label()),
            ("x-80".to_owned(), "80-x".to_owned())
        );
        assert_eq!(KeyRange::default().label(), "x-x");
    }
}
