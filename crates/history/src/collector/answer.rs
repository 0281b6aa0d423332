//! What an answer says: rows of samples, or what is wrong with it.
//!
//! An answer is read twice: what kind it is, then its rows, of which no more are kept than are allowed. Texts are borrowed
//! from the answer, and values are kept as they will be stored.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fault::Fault;
use super::transport::Reply;
use crate::text::{self, beginning, shortened};

/// Most characters of the server's own message that are kept.
const MESSAGE_CHARS_MAX: usize = 300;

/// How many series a message names where only one may be.
const SHOWN_SERIES: usize = 2;

/// What Prometheus 3 warns of when the parameter `limit` cuts an answer (`web/api/v1/api.go`).
const TRUNCATED: &str = "results truncated due to limit";

/// Of what an answer consists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One sample a series.
    Instant,
    /// Samples over a range.
    Range,
}

/// What may be in an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) form: Form,
    pub(super) series_max: usize,
    pub(super) samples_max: usize,
}

impl Answer {
    /// The row of a query that must give one series at most.
    pub(super) fn into_single(mut self) -> Result<Option<Samples>, Fault> {
        if self.rows.len() > 1 {
            let examples: Vec<_> = self.rows.iter().map(|row| row.shown.as_str()).collect();
            return Err(Fault::TooManySeries {
                examples: examples.join(", "),
            });
        }
        Ok(self.rows.pop().map(|row| row.samples))
    }
}

/// One series of an answer.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    /// The value of the label by which answers are dealt out; empty without one.
    pub(super) key: String,
    /// Its labels, for messages; empty if dealt out.
    pub(super) shown: String,
    pub(super) samples: Samples,
}

/// The samples of a series, finite or not.
#[derive(Debug, PartialEq)]
pub(super) enum Samples {
    /// Of an instant query: Unix seconds with fraction, and the value.
    One(f64, f64),
    /// Of a range query.
    Many(Vec<Stored>),
    /// A native histogram instead.
    Histogram,
}

/// A sample as it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stored {
    /// Unix seconds, which fit until the year 2106: there are many of these at once.
    pub(super) at: u32,
    pub(super) value: f32,
}

impl Samples {
    fn count(&self) -> usize {
        match self {
            Self::One(..) => 1,
            Self::Many(samples) => samples.len(),
            Self::Histogram => 0,
        }
    }
}

/// Rows of an answer, in its order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    pub(super) samples: usize,
}

/// Reads the answer of the server at `url`; `key` is the label by which it is dealt out.
pub(super) fn read(
    url: &str,
    reply: &Reply,
    key: Option<&str>,
    bounds: Bounds,
) -> Result<Answer, Fault> {
    let foreign = || foreign(url, reply);
    let Ok(head) = serde_json::from_slice::<Head<'_>>(&reply.body) else {
        return Err(foreign());
    };
    if matches!(reply.status, 401 | 403 | 429) {
        return Err(foreign());
    }
    match (head.status.as_ref(), &head.data) {
        // A gateway says it in the same form, and it is no verdict on the query.
        ("error", _) if reply.status >= 500 && !is_prometheus(head.kind.as_deref()) => {
            Err(foreign())
        }
        ("error", _) => {
            let text = |text: Option<Cow<'_, str>>| {
                shortened(text.as_deref().unwrap_or_default(), MESSAGE_CHARS_MAX)
            };
            Err(Fault::Refused {
                kind: text(head.kind),
                message: text(head.error),
            })
        }
        ("success", _) if head.warns(key) => Err(Fault::Partial {
            warning: shortened(&head.warnings.join("; "), MESSAGE_CHARS_MAX),
        }),
        ("success", _) if head.is_partial => Err(Fault::Partial {
            warning: "the server says that its answer is partial".to_owned(),
        }),
        ("success", Some(data)) if reply.status == 200 => match data.result_type.as_ref() {
            "vector" if bounds.form == Form::Instant => rows(reply, key, bounds, &foreign),
            "matrix" if bounds.form == Form::Range => rows(reply, key, bounds, &foreign),
            "scalar" if bounds.form == Form::Instant => scalar(reply).ok_or_else(foreign),
            other => Err(Fault::NotNumbers {
                kind: shortened(other, MESSAGE_CHARS_MAX),
            }),
        },
        _ => Err(foreign()),
    }
}

/// Whether Prometheus itself gives errors of this kind with a status of 500 or more.
fn is_prometheus(kind: Option<&str>) -> bool {
    matches!(
        kind,
        Some("timeout" | "canceled" | "internal" | "execution")
    )
}

/// An answer that Prometheus itself would not give.
fn foreign(url: &str, reply: &Reply) -> Fault {
    let (url, status) = (url.to_owned(), reply.status);
    let beginning = beginning(&reply.body);
    let retry_after = reply.retry_after;
    match status {
        300..=399 => Fault::Redirected {
            url,
            to: redirect_target(reply.location.as_deref().unwrap_or("elsewhere")),
        },
        401 | 403 => Fault::Unauthorized { url, status },
        429 => Fault::TooManyRequests { url, retry_after },
        500..=599 => Fault::Unavailable {
            url,
            status,
            beginning,
            retry_after,
        },
        _ => Fault::NotPrometheus {
            url,
            status,
            beginning,
        },
    }
}

/// Where a redirect leads, without what a login page puts behind it.
fn redirect_target(location: &str) -> String {
    let place = location.split(['?', '#']).next().unwrap_or_default();
    shortened(&text::shown_url(&place), MESSAGE_CHARS_MAX)
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow, default, rename = "errorType")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    error: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<DataHead<'a>>,
    /// Such as what a Thanos could not reach; what is merely worth knowing is in `infos`.
    #[serde(borrow, default)]
    warnings: Vec<Cow<'a, str>>,
    /// By which a VictoriaMetrics says the same.
    #[serde(default, rename = "isPartial")]
    is_partial: bool,
}

impl Head<'_> {
    /// Whether something may be missing. That a single series was asked for and there are more is no such warning: the
    /// rows say it, and which they are.
    fn warns(&self, key: Option<&str>) -> bool {
        let mut warnings = self.warnings.iter();
        warnings.any(|warning| key.is_some() || warning != TRUNCATED)
    }
}

#[derive(Deserialize)]
struct DataHead<'a> {
    #[serde(borrow, rename = "resultType")]
    result_type: Cow<'a, str>,
}

fn scalar(reply: &Reply) -> Option<Answer> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        data: Data<'a>,
    }
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        result: (f64, Cow<'a, str>),
    }
    let envelope: Envelope<'_> = serde_json::from_slice(&reply.body).ok()?;
    let (time, value) = envelope.data.result;
    Some(Answer {
        rows: vec![Row {
            key: String::new(),
            shown: String::new(),
            samples: Samples::One(time, value.parse().ok()?),
        }],
        samples: 1,
    })
}

fn rows(
    reply: &Reply,
    key: Option<&str>,
    bounds: Bounds,
    foreign: &dyn Fn() -> Fault,
) -> Result<Answer, Fault> {
    let exceeded = Cell::new(None);
    let reading = Reading {
        key,
        bounds,
        exceeded: &exceeded,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(&reply.body);
    let answer =
        InField("data", InField("result", RowsSeed(&reading))).deserialize(&mut deserializer);
    match (answer, exceeded.get()) {
        (Ok(answer), _) => Ok(answer),
        (Err(_), Some((what, limit))) => Err(Fault::TooMuch { what, limit }),
        (Err(_), None) => Err(foreign()),
    }
}

/// How rows are read.
struct Reading<'r> {
    key: Option<&'r str>,
    bounds: Bounds,
    /// The limit that ended the reading.
    exceeded: &'r Cell<Option<(&'static str, usize)>>,
}

/// Reads one field of an object and passes over the others.
struct InField<S>(&'static str, S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for InField<S> {
    type Value = S::Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<S::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for InField<S> {
    type Value = S::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an object with `{}`", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<S::Value, A::Error> {
        let mut seed = Some(self.1);
        let mut found = None;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match seed.take() {
                Some(seed) if name == self.0 => found = Some(map.next_value_seed(seed)?),
                other => {
                    seed = other;
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        found.ok_or_else(|| A::Error::missing_field(self.0))
    }
}

/// Reads rows until a limit.
struct RowsSeed<'r>(&'r Reading<'r>);

impl<'de> DeserializeSeed<'de> for RowsSeed<'_> {
    type Value = Answer;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Answer, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RowsSeed<'_> {
    type Value = Answer;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of series")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Answer, A::Error> {
        let reading = self.0;
        let bounds = reading.bounds;
        let mut answer = Answer::default();
        while let Some(row) = rows.next_element_seed(RowSeed(reading))? {
            answer.samples += row.samples.count();
            answer.rows.push(row);
            if reading.key.is_none() && answer.rows.len() == SHOWN_SERIES {
                // One too many already: two are kept to be named.
                while rows.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(answer);
            }
            let exceeded = if answer.rows.len() > bounds.series_max {
                ("series", bounds.series_max)
            } else if answer.samples > bounds.samples_max {
                ("samples", bounds.samples_max)
            } else {
                continue;
            };
            reading.exceeded.set(Some(exceeded));
            return Err(A::Error::custom("a limit is exceeded"));
        }
        Ok(answer)
    }
}

/// Reads one row.
struct RowSeed<'r>(&'r Reading<'r>);

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = Row;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Row, D::Error> {
        let reading = self.0;
        let (labels, samples) = if reading.bounds.form == Form::Instant {
            let row = InstantRow::deserialize(from)?;
            let samples = match row.value {
                Some(Pair(time, value)) => Samples::One(time, value),
                None => Samples::Histogram,
            };
            (row.metric, samples)
        } else {
            let row = RangeRow::deserialize(from)?;
            let samples = if row.values.is_empty() && row.histograms.is_some() {
                Samples::Histogram
            } else {
                Samples::Many(row.values)
            };
            (row.metric, samples)
        };
        let of_label = |label: &str| {
            labels
                .get(label)
                .map_or_else(String::new, ToString::to_string)
        };
        Ok(Row {
            key: reading.key.map_or_else(String::new, of_label),
            shown: if reading.key.is_none() {
                text::labels(labels.iter().map(|(label, value)| (&**label, &**value)))
            } else {
                String::new()
            },
            samples,
        })
    }
}

type Labels<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

#[derive(Deserialize)]
struct InstantRow<'a> {
    #[serde(borrow, default)]
    metric: Labels<'a>,
    #[serde(default)]
    value: Option<Pair>,
}

#[derive(Deserialize)]
struct RangeRow<'a> {
    #[serde(borrow, default)]
    metric: Labels<'a>,
    #[serde(default)]
    values: Vec<Stored>,
    #[serde(default)]
    histograms: Option<IgnoredAny>,
}

/// A time and a value, which stands in quotes.
struct Pair(f64, f64);

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Quoted<'a>(f64, #[serde(borrow)] Cow<'a, str>);
        let Quoted(time, value) = Quoted::deserialize(from)?;
        let value = value
            .parse()
            .map_err(|_| D::Error::custom("not a number"))?;
        Ok(Self(time, value))
    }
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Pair(time, value) = Pair::deserialize(from)?;
        Ok(Self {
            at: time.round() as u32,
            value: value as f32,
        })
    }
}
