//! What a process takes, and what a server counts.

use std::fs;

use anyhow::Context as _;

/// Of `/proc`: a hundredth of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// Of memory, now.
    pub(super) rss_mib: f64,
    /// Of memory, at most so far.
    pub(super) peak_mib: f64,
    cpu_seconds: f64,
}

impl Usage {
    /// Reads it.
    pub(super) fn of(pid: u32) -> anyhow::Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))
        };
        let status = read("status")?;
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            kib.map(|kib| kib / 1_024.0)
                .with_context(|| format!("/proc/{pid}/status has no {name}"))
        };
        let stat = read("stat")?;
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        // From the state on, which is field 3 of proc(5): 14 and 15 are utime and stime.
        let ticks = fields.split(' ').skip(11).take(2);
        let ticks: f64 = ticks.filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(Self {
            rss_mib: mib("VmRSS:")?,
            peak_mib: mib("VmHWM:")?,
            cpu_seconds: ticks / TICKS_PER_SECOND,
        })
    }

    /// Mean cores since an earlier reading.
    pub(super) fn cores_since(&self, earlier: &Self, seconds: f64) -> f64 {
        (self.cpu_seconds - earlier.cpu_seconds) / seconds
    }
}

/// The sum of a metric's series, in Prometheus's text format, whose labels are wanted.
pub(super) fn sum(text: &str, metric: &str, wanted: impl Fn(&str) -> bool) -> f64 {
    let series = text.lines().filter_map(|line| line.strip_prefix(metric));
    let series = series.filter_map(|line| match line.strip_prefix('{') {
        Some(rest) => rest.split_once("} "),
        None => Some(("", line.strip_prefix(' ')?)),
    });
    let wanted = series.filter(|(labels, _)| wanted(labels));
    wanted
        .filter_map(|(_, value)| value.trim().parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_what_is_wanted_of_one_metric() {
        let text = "# TYPE a counter\na{x=\"1\"} 2\na{x=\"2\"} 3\na_total 9\na 4\n";
        assert_eq!(sum(text, "a", |_| true), 9.0);
        assert_eq!(sum(text, "a", |labels| labels.contains("\"2\"")), 3.0);
    }

    #[test]
    fn this_process_takes_something() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss_mib > 0.5 && usage.peak_mib >= usage.rss_mib);
    }
}
