//! Prometheus range queries (and every server that answers them: Thanos, Mimir, VictoriaMetrics).
//!
//! # What a sample stands for
//! A range query evaluates the expression at `t`, `t + step`, …; what it gives for `t` was measured *up to* `t`
//! (`rate(x[5m])` over the five minutes before). The bin that a sample fills therefore *ends* at `t`:
//! it covers `[t - step, t)`. Times are multiples of the step, so that asking again gives identical samples.
//!
//! # What is a gap
//! A time without a sample, and a sample that is not finite (`0/0` gives NaN, a division by zero infinity): both mean that
//! the expression knows nothing there. Prometheus itself carries a raw value on for up to five minutes after its last
//! scrape; `rate` and other functions over ranges longer than a scrape carry it for their range. That much older than
//! it looks a newest sample can be.

mod answer;
mod error;
#[cfg(test)]
mod tests;

use std::time::Duration;

use foreshard_forecast::Series;
use prometheus_http_query::Client;

pub use error::SourceError;

use crate::text::{chain, shown_url};

/// Most points that one request asks for; Prometheus itself refuses more than 11,000.
pub const POINTS_PER_REQUEST_MAX: i64 = 10_000;

/// Most bins of a fetched series: 5 years at one minute.
pub const BINS_MAX: i64 = 2_700_000;

/// Most bytes of one answer. One series of 10,000 points takes less than 0.5 MB.
pub const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A server that answers range queries.
#[derive(Clone)]
pub struct Source {
    url: String,
    client: Client,
    timeout: Duration,
}

/// What to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeQuery {
    /// A PromQL expression that gives one series, such as `sum(rate(requests_total[5m]))`.
    pub promql: String,
    /// Unix seconds at which the series shall begin; rounded down to a multiple of the step.
    pub from: i64,
    /// Unix seconds at which it shall end; rounded down to a multiple of the step.
    pub to: i64,
    /// Seconds of a bin, at least 1.
    pub step: i64,
}

impl Source {
    /// A source at `url`, such as `http://127.0.0.1:9090` or `https://example.com/prometheus`; nothing is sent yet.
    ///
    /// `timeout` is for each request, its answer included.
    ///
    /// # Errors
    /// When the URL cannot be read, or is neither http nor https.
    pub fn new(url: &str, timeout: Duration) -> Result<Self, SourceError> {
        let invalid = |reason: String| SourceError::Url {
            url: url.to_owned(),
            reason,
        };
        let client = Client::try_from(url).map_err(|error| invalid(chain(&error)))?;
        if !matches!(client.base_url().scheme(), "http" | "https") {
            return Err(invalid("the scheme is neither http nor https".to_owned()));
        }
        Ok(Self {
            url: shown_url(client.base_url()),
            client,
            timeout,
        })
    }

    /// Fetches one series, in as many requests as it takes; `progress` is told bins fetched and bins wanted.
    ///
    /// The series covers exactly `[from, to)` as rounded; what the server does not know is NaN, at the ends as well.
    ///
    /// # Errors
    /// When the query is senseless, the server cannot be reached in time, or it answers anything but one series.
    pub async fn fetch(
        &self,
        query: &RangeQuery,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Series, SourceError> {
        let step = query.step;
        if step < 1 {
            return Err(SourceError::Step { step });
        }
        let start = query.from.div_euclid(step) * step;
        let end = query.to.div_euclid(step) * step;
        let bins = (end - start) / step;
        if bins < 1 {
            return Err(SourceError::Range {
                from: query.from,
                to: query.to,
                step,
            });
        }
        if bins > BINS_MAX {
            return Err(SourceError::TooLong {
                bins,
                bins_max: BINS_MAX,
            });
        }
        let mut values = vec![f64::NAN; bins as usize];
        let mut labels = None;
        let mut first = 0;
        while first < bins {
            let last = (first + POINTS_PER_REQUEST_MAX).min(bins);
            // Bin i ends at start + (i + 1) * step, where its sample is.
            let (from, to) = (start + (first + 1) * step, start + last * step);
            if let Some(part) = self.request(&query.promql, from, to, step).await? {
                self.same_series(&mut labels, part.labels)?;
                for (time, value) in part.samples {
                    let bin = (time - start) / step - 1;
                    if value.is_finite() && (0..bins).contains(&bin) {
                        values[bin as usize] = value;
                    }
                }
            }
            first = last;
            progress(first as u64, bins as u64);
        }
        if values.iter().all(|value| value.is_nan()) {
            return Err(SourceError::NoSeries {
                promql: query.promql.clone(),
            });
        }
        Ok(Series {
            start,
            step,
            values,
        })
    }

    /// One request; `None` when it matched nothing.
    async fn request(
        &self,
        promql: &str,
        from: i64,
        to: i64,
        step: i64,
    ) -> Result<Option<answer::Part>, SourceError> {
        let request = self
            .client
            .query_range(promql, from, to, step as f64)
            .timeout(self.timeout.as_millis() as i64)
            // Servers that know the parameter stop here; two are enough to know that there are too many.
            .query("limit", 2);
        let exchange = async {
            let mut response =
                request
                    .get_raw()
                    .await
                    .map_err(|error| SourceError::Unreachable {
                        url: self.url.clone(),
                        reason: chain(&error),
                    })?;
            let status = response.status().as_u16();
            let mut body = Vec::new();
            loop {
                let chunk = response
                    .chunk()
                    .await
                    .map_err(|error| SourceError::Interrupted {
                        url: self.url.clone(),
                        reason: chain(&error),
                    })?;
                let Some(chunk) = chunk else { break };
                if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                    return Err(SourceError::AnswerTooLarge {
                        promql: promql.to_owned(),
                    });
                }
                body.extend_from_slice(&chunk);
            }
            Ok((status, body))
        };
        let (status, body) = tokio::time::timeout(self.timeout, exchange)
            .await
            .map_err(|_| SourceError::TimedOut {
                url: self.url.clone(),
                seconds: self.timeout.as_secs_f64(),
            })??;
        answer::read(&self.url, promql, status, &body)
    }

    /// Refuses a later part that belongs to another series than the first one.
    fn same_series(
        &self,
        known: &mut Option<answer::Labels>,
        labels: answer::Labels,
    ) -> Result<(), SourceError> {
        match known {
            None => *known = Some(labels),
            Some(first) if *first == labels => {}
            Some(first) => {
                return Err(SourceError::SeriesChanged {
                    first: answer::show(first),
                    then: answer::show(&labels),
                });
            }
        }
        Ok(())
    }
}
