//! Kubernetes' quantities as numbers, and numbers as the quantities of a policy.

use crate::Quantity;

/// Suffixes and what they stand for; longer ones first.
const SUFFIXES: [(&str, f64); 15] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
];

/// Reads any quantity of Kubernetes that is above zero, such as `500m`, `1.5Gi` or `2e3`.
pub(super) fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let suffix = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix));
    let (digits, factor) = match suffix {
        Some((suffix, factor)) => (&text[..text.len() - suffix.len()], *factor),
        None => (text, 1.0),
    };
    let begins = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == '+');
    let value = digits.parse::<f64>().ok().filter(|_| begins)? * factor;
    (value.is_finite() && value > 0.0).then_some(value)
}

/// As a policy's `targetAverageValue`: at most three decimals from 1 on, and six below.
pub(super) fn show(value: f64) -> Option<String> {
    let text = match value {
        value if value >= 1e12 => format!("{:.0}G", value / 1e9),
        value if value >= 1000.0 => format!("{value:.0}"),
        value if value >= 1.0 => decimal(&format!("{value:.3}")),
        value => decimal(&format!("{value:.6}")),
    };
    Quantity::parse(&text).ok().map(|_| text)
}

fn decimal(text: &str) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_written() {
        for (text, shown) in [
            ("500m", "0.5"),
            ("1.5Gi", "1610612736"),
            ("2e3", "2000"),
            ("3E", "3000000000G"),
            ("100M", "100000000"),
            ("250000u", "0.25"),
            ("100", "100"),
            ("33.3333", "33.333"),
        ] {
            let value = parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(show(value).as_deref(), Some(shown), "{text}");
        }
        for text in ["", "0", "-5", "Gi", "inf", "NaN", "1 Gi2", "many"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(show(1e-9), None);
    }
}
