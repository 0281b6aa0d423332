//! Values of options.

pub(crate) use foreshard_cli::time::{moment as time, span};

/// A share of time, as `1%` or `0.01`.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text, 1.0),
    };
    let share = number
        .trim()
        .parse::<f64>()
        .map_or(f64::NAN, |number| number / unit);
    if share > 0.0 && share < 1.0 {
        Ok(share)
    } else {
        Err("give a share of time above 0 and below 100%, such as 1% or 0.01".to_owned())
    }
}

/// A load above zero.
pub(crate) fn load(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(load) if load > 0.0 && load.is_finite() => Ok(load),
        _ => Err("give the load that one instance serves, a number above 0".to_owned()),
    }
}

/// A JSON document, as it is written.
pub(crate) fn json(text: &str) -> Result<String, String> {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("not JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percent_or_fractions() {
        assert_eq!(
            (share("1%"), share("0.5 %"), share("0.02")),
            (Ok(0.01), Ok(0.005), Ok(0.02))
        );
        for text in ["0", "100%", "1", "-1%", "NaN", "inf", "%", "few"] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn loads_and_documents_are_checked() {
        assert_eq!(load("250.5"), Ok(250.5));
        assert!(
            ["0", "-1", "inf", "many"]
                .iter()
                .all(|text| load(text).is_err())
        );
        assert_eq!(json(r#"{"a": 1}"#).as_deref(), Ok(r#"{"a": 1}"#));
        assert!(json("{a: 1}").unwrap_err().contains("line 1"));
    }
}
