//! A real Prometheus that remembers what it never saw.

use std::env;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::api::Api;
use crate::bed::{Bed, BedError, PartSpec};
use crate::error::Error;
use crate::parts::{self, PartError};

/// Names a folder with `prometheus` and `promtool` to be used instead of the test bed's own.
pub const FOLDER_VARIABLE: &str = "FORESHARD_PROMETHEUS_DIR";

/// Without it promtool writes a block for every two hours and takes minutes.
const BLOCK: &str = "--max-block-duration=720h";

/// Prometheus drops what is older than its retention without a word.
const RETENTION_DAYS_MIN: u64 = 60;

/// About ten times what 28 days of 20 series take.
const LIMIT: Duration = Duration::from_secs(120);

/// A tenth of what promtool stores in a second.
const SAMPLES_PER_SECOND: usize = 50_000;

const DAY_SECONDS: u64 = 86_400;

/// One series to be remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct HistorySeries {
    /// The metric's name, such as `load`.
    pub name: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Unix seconds and values, in ascending order of time; what is missing is a gap.
    pub samples: Vec<(i64, f64)>,
}

/// A Prometheus that is ready; it ends with this value.
#[derive(Debug)]
pub struct Prometheus {
    bed: Bed,
    api: Api,
}

#[derive(Debug)]
struct Programs {
    prometheus: PathBuf,
    promtool: PathBuf,
}

impl Programs {
    /// Those of the folder that is named, else the test bed's own, else those of the PATH.
    fn find() -> Result<Self, Error> {
        let in_folder = |folder: &Path| {
            let found = Self {
                prometheus: folder.join("prometheus"),
                promtool: folder.join("promtool"),
            };
            (found.prometheus.is_file() && found.promtool.is_file()).then_some(found)
        };
        let off = env::var_os("FORESHARD_TESTBED").is_some_and(|value| value == "off");
        if let Some(folder) = env::var_os(FOLDER_VARIABLE).filter(|_| !off) {
            let folder = PathBuf::from(folder);
            let error = || PartError::Incomplete {
                part: "prometheus",
                what: format!(
                    "prometheus and promtool in {} ({FOLDER_VARIABLE})",
                    folder.display()
                ),
            };
            return Ok(in_folder(&folder).ok_or_else(error)?);
        }
        match parts::find("prometheus") {
            Err(PartError::Off) => Err(PartError::Off.into()),
            Ok(built) => Ok(Self {
                prometheus: built.program("prometheus"),
                promtool: built.program("promtool"),
            }),
            Err(error) => {
                let path = env::var_os("PATH").unwrap_or_default();
                let found = env::split_paths(&path).find_map(|folder| in_folder(&folder));
                Ok(found.ok_or(error)?)
            }
        }
    }
}

impl Prometheus {
    /// One of its own for this test that holds these series.
    ///
    /// # Errors
    /// Programs that are missing, history that cannot be stored, a server that does not become ready.
    pub fn with_history(history: &[HistorySeries]) -> Result<Self, Error> {
        Programs::find()?;
        Self::start_in(Bed::unique("prometheus")?, history)
    }

    /// One that holds these series and listens at an address of this machine that a node's pods reach, such as
    /// [`Network::host`](crate::Network::host).
    ///
    /// # Errors
    /// As [`with_history`](Self::with_history).
    pub fn with_history_at(host: Ipv4Addr, history: &[HistorySeries]) -> Result<Self, Error> {
        Programs::find()?;
        Self::start_at(Bed::unique("prometheus")?, host, history)
    }

    /// Starts one in an empty bed.
    ///
    /// # Errors
    /// As [`with_history`](Self::with_history); the bed is then ended.
    pub fn start_in(bed: Bed, history: &[HistorySeries]) -> Result<Self, Error> {
        Self::start_at(bed, Ipv4Addr::LOCALHOST, history)
    }

    fn start_at(mut bed: Bed, host: Ipv4Addr, history: &[HistorySeries]) -> Result<Self, Error> {
        let programs = Programs::find()?;
        let data = bed.folder().join("data");
        if !history.is_empty() {
            backfill(&mut bed, &programs.promtool, history, &data)?;
        }
        let config = bed.folder().join("prometheus.yml");
        fs::write(&config, "global: {}\n").map_err(BedError::file(&config))?;
        let port = bed.port("prometheus")?;
        let days = retention_days(history);
        bed.spawn(
            PartSpec::new("prometheus", &programs.prometheus)
                .args([
                    format!("--config.file={}", config.display()),
                    format!("--storage.tsdb.path={}", data.display()),
                    format!("--storage.tsdb.retention.time={days}d"),
                    format!("--web.listen-address={host}:{port}"),
                ])
                // What it holds is thrown away.
                .grace(Duration::ZERO),
        )?;
        let api = Api::plain(format!("http://{host}:{port}"));
        bed.set_fact("url", api.server())?;
        let mut this = Self { bed, api };
        this.wait_ready()?;
        Ok(this)
    }

    /// Writes series as blocks into the folder of a Prometheus that is not of this bed; one that runs finds them within a
    /// minute or two.
    ///
    /// # Errors
    /// Programs that are missing, history that cannot be stored.
    pub fn write_history(history: &[HistorySeries], data: &Path) -> Result<(), Error> {
        let programs = Programs::find()?;
        let mut bed = Bed::unique("history")?;
        let written = backfill(&mut bed, &programs.promtool, history, data);
        bed.down()?;
        written
    }

    /// Its address, such as `http://127.0.0.1:9090`.
    #[must_use]
    pub fn url(&self) -> &str {
        self.api.server()
    }

    /// Its HTTP interface.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Its process, to break it.
    pub fn bed_mut(&mut self) -> &mut Bed {
        &mut self.bed
    }

    /// Has it scrape these addresses of this machine from now on, and no others; it is ready when this returns.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn scrape(&mut self, targets: &[SocketAddr], every: Duration) -> Result<(), Error> {
        let targets: Vec<String> = targets.iter().map(SocketAddr::to_string).collect();
        let config = serde_json::json!({
            "scrape_configs": [{
                "job_name": "testbed",
                "scrape_interval": format!("{}ms", every.as_millis()),
                "scrape_timeout": format!("{}ms", every.as_millis()),
                "static_configs": [{"targets": targets}],
            }],
        });
        let path = self.bed.folder().join("prometheus.yml");
        // JSON is YAML as well.
        fs::write(&path, config.to_string()).map_err(BedError::file(&path))?;
        self.restart()
    }

    /// Ends the server as a crash would and starts it again; it is ready when this returns.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.bed.restart("prometheus")?;
        self.wait_ready()
    }

    /// Takes the bed out, to be kept.
    #[must_use]
    pub fn into_bed(self) -> Bed {
        self.bed
    }

    fn wait_ready(&mut self) -> Result<(), Error> {
        let api = &self.api;
        let ready = || {
            api.text("/-/ready")
                .map(drop)
                .map_err(|error| error.to_string())
        };
        self.bed
            .wait_until("prometheus", "answering /-/ready", LIMIT, ready)?;
        Ok(())
    }
}

/// Writes blocks of storage as if the samples had been collected in their time.
fn backfill(
    bed: &mut Bed,
    promtool: &Path,
    history: &[HistorySeries],
    data: &Path,
) -> Result<(), Error> {
    let text = bed.folder().join("history.om");
    write_open_metrics(&text, history)?;
    let paths = [&text, &data.to_owned()].map(|path| path.display().to_string());
    let fill = PartSpec::new("promtool", promtool)
        .args(["tsdb", "create-blocks-from", "openmetrics", BLOCK])
        .args(paths);
    let samples: usize = history.iter().map(|series| series.samples.len()).sum();
    let longer = Duration::from_secs((samples / SAMPLES_PER_SECOND) as u64);
    bed.run(fill, LIMIT + longer)?;
    fs::remove_file(&text).map_err(BedError::file(&text))?;
    Ok(())
}

/// The text form that promtool reads: all series of a name stand together.
fn write_open_metrics(path: &Path, history: &[HistorySeries]) -> Result<(), Error> {
    let mut sorted: Vec<&HistorySeries> = history.iter().collect();
    sorted.sort_by(|one, other| one.name.cmp(&other.name));
    let file = fs::File::create(path).map_err(BedError::file(path))?;
    let mut out = BufWriter::new(file);
    let mut name = "";
    let write = || -> std::io::Result<()> {
        for series in sorted {
            if series.name != name {
                name = &series.name;
                writeln!(out, "# TYPE {name} gauge")?;
            }
            let labels = labels_of(series);
            for (time, value) in &series.samples {
                writeln!(out, "{name}{labels} {value} {time}")?;
            }
        }
        writeln!(out, "# EOF")?;
        out.flush()
    };
    Ok(write().map_err(BedError::file(path))?)
}

fn labels_of(series: &HistorySeries) -> String {
    let label = |(name, value): &(String, String)| {
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    };
    let labels: Vec<String> = series.labels.iter().map(label).collect();
    format!("{{{}}}", labels.join(","))
}

/// Enough for the oldest sample, whenever it was taken.
fn retention_days(history: &[HistorySeries]) -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let oldest = history
        .iter()
        .filter_map(|series| series.samples.first())
        .map(|(time, _)| u64::try_from(*time).unwrap_or(0))
        .min();
    let age = oldest.map_or(0, |oldest| now.saturating_sub(oldest));
    // One more, because blocks are dropped whole.
    RETENTION_DAYS_MIN.max(age / DAY_SECONDS + 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_a_name_stand_together_and_labels_are_escaped() {
        let series = |name: &str, value: &str| HistorySeries {
            name: name.to_owned(),
            labels: vec![("shard".to_owned(), value.to_owned())],
            samples: vec![(60, 1.5)],
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("om");
        let history = [
            series("b", "-80"),
            series("a", "x\"\\y"),
            series("b", "80-"),
        ];
        write_open_metrics(&path, &history).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "# TYPE a gauge\na{shard=\"x\\\"\\\\y\"} 1.5 60\n\
             # TYPE b gauge\nb{shard=\"-80\"} 1.5 60\nb{shard=\"80-\"} 1.5 60\n# EOF\n"
        );
    }

    #[test]
    fn old_samples_outlive_the_retention() {
        assert_eq!(retention_days(&[]), RETENTION_DAYS_MIN);
        let old = HistorySeries {
            name: "a".to_owned(),
            labels: Vec::new(),
            samples: vec![(0, 1.0)],
        };
        assert!(retention_days(&[old]) > 20_000);
    }
}
