//! Positive decimal numbers as Kubernetes writes them.

use std::fmt;

/// A Kubernetes quantity above zero: digits with an optional fraction and one of the suffixes `m`, `k`, `M`, `G`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Quantity(f64);

/// Pattern of what [`Quantity::parse`] takes; zero is refused by it as well.
pub(crate) const PATTERN: &str = r"^[0-9]{1,12}(\.[0-9]{1,9})?[mkMG]?$";

/// Why a text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a positive quantity such as \"70\", \"1.5\", \"500m\" or \"2k\"")]
pub struct QuantityError {
    text: String,
}

impl Quantity {
    /// Reads a quantity.
    ///
    /// # Errors
    /// When the text is anything else, or zero.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let wrong = || QuantityError {
            text: text.chars().take(40).collect(),
        };
        let (digits, factor) = match text.char_indices().next_back() {
            Some((at, 'm')) => (&text[..at], 1e-3),
            Some((at, 'k')) => (&text[..at], 1e3),
            Some((at, 'M')) => (&text[..at], 1e6),
            Some((at, 'G')) => (&text[..at], 1e9),
            _ => (text, 1.0),
        };
        let plain = digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.ends_with(|c: char| c.is_ascii_digit())
            && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
        let value = digits.parse::<f64>().map_err(|_| wrong())? * factor;
        (plain && value > 0.0 && value.is_finite())
            .then_some(Self(value))
            .ok_or_else(wrong)
    }

    /// As a number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// A number as people read it: four significant digits, without an exponent.
    #[must_use]
    pub fn show(value: f64) -> String {
        if !value.is_finite() {
            return "unknown".to_owned();
        }
        if value == 0.0 {
            return "0".to_owned();
        }
        let digits = value.abs().log10().floor();
        let places = (3.0 - digits).clamp(0.0, 9.0) as usize;
        let text = format!("{value:.places$}");
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::show(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_means_them() {
        let read = |text| Quantity::parse(text).map(Quantity::get);
        assert_eq!(read("70"), Ok(70.0));
        assert_eq!(read("1.5"), Ok(1.5));
        assert_eq!(read("500m"), Ok(0.5));
        assert_eq!(read("2k"), Ok(2000.0));
        for wrong in [
            "", "m", "-1", "0", "0m", "1e3", ".5", "5.", "1.2.3", "inf", "NaN", "1K", "1 k", "١",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_shown_with_four_digits() {
        let shown = [1234.56, 0.012345, 70.0, 123_456.0, 0.0].map(Quantity::show);
        assert_eq!(shown, ["1235", "0.01235", "70", "123456", "0"]);
        assert_eq!(Quantity::show(f64::NAN), "unknown");
    }
}
