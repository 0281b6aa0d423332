//! What the program counts, as its metrics tell it.

use std::collections::BTreeMap;

/// Values by series, names with their labels.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    pub(crate) fn read(text: &str) -> Self {
        let lines = text.lines().filter(|it| !it.starts_with('#'));
        let series = lines.filter_map(|it| {
            let (name, value) = it.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(series.collect())
    }

    fn sum(&self, start: &str) -> u64 {
        let all = self.0.iter().filter(|(name, _)| name.starts_with(start));
        all.map(|(_, value)| *value).sum::<f64>() as u64
    }

    /// Requests that changed something.
    pub(crate) fn writes(&self) -> u64 {
        self.sum("foreshard_cluster_writes_total")
    }

    /// Passes over objects of a kind.
    pub(crate) fn passes(&self, kind: &str) -> u64 {
        self.sum(&format!(
            "foreshard_cluster_pass_seconds_count{{kind=\"{kind}\"}}"
        ))
    }

    /// Of a hundred passes since then, 99 took no longer, in seconds: the bound of the bucket that it is in.
    pub(crate) fn p99_since(&self, before: &Self, kind: &str) -> f64 {
        let most = (self.passes(kind) - before.passes(kind)) as f64 * 0.99;
        let mut buckets: Vec<(f64, f64)> = self
            .0
            .iter()
            .filter(|(name, _)| {
                name.starts_with("foreshard_cluster_pass_seconds_bucket{")
                    && name.contains(&format!("kind=\"{kind}\""))
            })
            .filter_map(|(name, value)| {
                let (_, bound) = name.split_once("le=\"")?;
                let bound = bound.split('"').next()?;
                let bound = bound.parse().unwrap_or(f64::INFINITY);
                Some((bound, value - before.0.get(name).unwrap_or(&0.0)))
            })
            .collect();
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let found = buckets.iter().find(|(_, count)| *count >= most);
        found.map_or(f64::INFINITY, |(bound, _)| *bound)
    }
}

#[test]
fn a_quantile_is_of_what_came_since() {
    let text = |fast: u32, all: u32| {
        format!(
            "# TYPE x histogram\nforeshard_cluster_pass_seconds_count{{kind=\"Vitess\"}} {all}\n\
             foreshard_cluster_pass_seconds_bucket{{le=\"0.01\",kind=\"Vitess\"}} {fast}\n\
             foreshard_cluster_pass_seconds_bucket{{le=\"0.1\",kind=\"Vitess\"}} {all}\n"
        )
    };
    let before = Metrics::read(&text(0, 50));
    let fast = Metrics::read(&text(100, 150)).p99_since(&before, "Vitess");
    assert!((fast - 0.01).abs() < 1e-9, "{fast}");
    let slow = Metrics::read(&text(90, 150)).p99_since(&before, "Vitess");
    assert!((slow - 0.1).abs() < 1e-9, "{slow}");
}
