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

/// Thousandths of what an amount such as `500m`, `0.5`, `2` or `1Gi` means; none if it is no amount.
pub(crate) fn amount(text: &str) -> Option<u64> {
    if let Some(thousandths) = text.strip_suffix('m') {
        return thousandths.parse().ok();
    }
    match text.split_once('.') {
        Some((whole, fraction)) if fraction.len() <= 3 => {
            let rest: u64 = format!("{fraction:0<3}").parse().ok()?;
            whole
                .parse::<u64>()
                .ok()?
                .checked_mul(1000)?
                .checked_add(rest)
        }
        Some(_) => None,
        None => parse(text)?.checked_mul(1000),
    }
}

/// A size for people, in MiB.
pub(crate) fn show(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_the_same_however_they_are_written() {
        for (one, other) in [("500m", "0.5"), ("1", "1000m"), ("1Gi", "1024Mi")] {
            assert_eq!(amount(one), amount(other), "{one}");
            assert!(amount(one).is_some(), "{one}");
        }
        for wrong in ["", "m", "x", "1.2.3", "0.0001", "1.x"] {
            assert_eq!(amount(wrong), None, "{wrong}");
        }
    }

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
