//! Sizes as Kubernetes writes them.

/// Bytes that a text such as `5Gi` or `500M` means; none if it is no size.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let factor: u64 = match &text[digits.len()..] {
        "" => 1,
        "k" => 1000,
        "M" => 1000_u64.pow(2),
        "G" => 1000_u64.pow(3),
        "T" => 1000_u64.pow(4),
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// A size for people, in MiB.
pub(crate) fn show(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_kubernetes_means_them() {
        assert_eq!(parse("5Gi"), Some(5 << 30));
        assert_eq!(parse("500M"), Some(500_000_000));
        assert_eq!(parse("12"), Some(12));
        for wrong in ["", "Gi", "1.5Gi", "-1", "5gi", "99999999999999999999Ti"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
