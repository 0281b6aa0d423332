//! The server's answer: one series, or what else it is.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::SourceError;
use crate::text::{self, beginning};

/// Labels of a series, in the order of their names.
pub(super) type Labels = BTreeMap<String, String>;

/// One series over the range of one request.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) labels: Labels,
    /// Unix seconds and value; the value may be anything that a float can be.
    pub(super) samples: Vec<(i64, f64)>,
}

/// The envelope of Prometheus's HTTP API.
#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Envelope {
    Success {
        data: Data,
    },
    Error {
        #[serde(rename = "errorType")]
        kind: String,
        error: String,
    },
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Matrix(Vec<Row>),
    Vector(serde::de::IgnoredAny),
    Scalar(serde::de::IgnoredAny),
    String(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    metric: Labels,
    /// Missing for native histograms, which have `histograms`.
    #[serde(default)]
    values: Vec<(f64, String)>,
}

/// Reads the answer to one request; `None` when the expression matched nothing.
pub(super) fn read(
    url: &str,
    promql: &str,
    status: u16,
    body: &[u8],
) -> Result<Option<Part>, SourceError> {
    let promql = || promql.to_owned();
    let foreign = || SourceError::NotPrometheus {
        url: url.to_owned(),
        status,
        beginning: beginning(body),
    };
    let envelope: Envelope = serde_json::from_slice(body).map_err(|_| foreign())?;
    let data = match envelope {
        Envelope::Success { data } => data,
        Envelope::Error { kind, error } => {
            return Err(SourceError::Refused {
                promql: promql(),
                kind,
                message: error,
            });
        }
    };
    let not_a_series = |kind: &str| SourceError::NotASeries {
        promql: promql(),
        kind: kind.to_owned(),
    };
    let mut rows = match data {
        Data::Matrix(rows) => rows,
        Data::Vector(_) => return Err(not_a_series("vector")),
        Data::Scalar(_) => return Err(not_a_series("scalar")),
        Data::String(_) => return Err(not_a_series("string")),
    };
    if rows.len() > 1 {
        let examples: Vec<_> = rows.iter().take(2).map(|row| show(&row.metric)).collect();
        return Err(SourceError::TooManySeries {
            promql: promql(),
            examples: examples.join(", "),
        });
    }
    let Some(row) = rows.pop() else {
        return Ok(None);
    };
    if row.values.is_empty() {
        return Err(not_a_series("histogram"));
    }
    let samples: Option<Vec<_>> = row
        .values
        .iter()
        .map(|(time, value)| Some((time.round() as i64, value.parse().ok()?)))
        .collect();
    Ok(Some(Part {
        labels: row.metric,
        samples: samples.ok_or_else(foreign)?,
    }))
}

/// Labels as PromQL writes them, shortened.
pub(super) fn show(labels: &Labels) -> String {
    let pairs = labels
        .iter()
        .map(|(label, value)| (label.as_str(), value.as_str()));
    text::labels(pairs)
}
