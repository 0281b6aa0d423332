//! The parts of the contract's JSON form that serde does not give by itself: NaN as null, bytes as base64.

/// A float, NaN as null.
pub(crate) mod float {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        if value.is_nan() {
            to.serialize_none()
        } else {
            to.serialize_f64(*value)
        }
    }
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
    }
}

/// Floats, NaN as null.
pub(crate) mod floats {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(values: &[f64], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(
            values
                .iter()
                .map(|value| (!value.is_nan()).then_some(*value)),
        )
    }
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
        let values = Vec::<Option<f64>>::deserialize(from)?;
        Ok(values
            .into_iter()
            .map(|value| value.unwrap_or(f64::NAN))
            .collect())
    }
}

/// Rows of floats, NaN as null.
pub(crate) mod float_rows {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(rows: &[Vec<f64>], to: S) -> Result<S::Ok, S::Error> {
        let nullable = |row: &Vec<f64>| {
            row.iter()
                .map(|value| (!value.is_nan()).then_some(*value))
                .collect::<Vec<_>>()
        };
        to.collect_seq(rows.iter().map(nullable))
    }
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Vec<f64>>, D::Error> {
        let rows = Vec::<Vec<Option<f64>>>::deserialize(from)?;
        let plain = |row: Vec<Option<f64>>| {
            row.into_iter()
                .map(|value| value.unwrap_or(f64::NAN))
                .collect()
        };
        Ok(rows.into_iter().map(plain).collect())
    }
}

/// Bytes as base64.
pub(crate) mod bytes {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(bytes))
    }
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        BASE64_STANDARD
            .decode(String::deserialize(from)?)
            .map_err(D::Error::custom)
    }
}

/// Optional bytes as base64 or null.
pub(crate) mod optional_bytes {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        bytes
            .as_ref()
            .map(|bytes| BASE64_STANDARD.encode(bytes))
            .serialize(to)
    }
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| BASE64_STANDARD.decode(text).map_err(D::Error::custom))
            .transpose()
    }
}

/// Rows of bytes, each as base64.
pub(crate) mod byte_rows {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(rows: &[Vec<u8>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(rows.iter().map(|row| BASE64_STANDARD.encode(row)))
    }
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Vec<u8>>, D::Error> {
        let rows = Vec::<String>::deserialize(from)?;
        rows.into_iter()
            .map(|row| BASE64_STANDARD.decode(row).map_err(D::Error::custom))
            .collect()
    }
}
