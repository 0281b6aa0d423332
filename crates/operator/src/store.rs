//! What outlives the process, in a directory of its own: for each policy what was learned, and the inputs of its last
//! decisions that were worth recording, so that each of them can be made again bit for bit.
//!
//! A convenience, not a truth: without it (or with another version's files) everything is learned anew. Bounded by the
//! number of policies times what is kept of each. Files are written aside and renamed, so that a half-written one is
//! never read. All methods block.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use foreshard_decide::DecisionRecord;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::lead::Lead;
use crate::shadow::Shadow;
use foreshard_controller::index::Key;

/// Decisions that are kept of one policy.
pub(crate) const DECISIONS_MAX: usize = 20;
/// Most bytes of a file when unpacked: what is larger was not written by us.
const FILE_BYTES_MAX: u64 = 16 << 20;
const LEVEL: i32 = 1;
const STATE: &str = "state.json.zst";
const DECISIONS: &str = "decisions";
const SUFFIX: &str = ".json.zst";

/// What was learned of one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// Of the policy: what was learned for another one of the same name says nothing.
    #[serde(default)]
    pub(crate) uid: String,
    /// The engine's own snapshot.
    pub(crate) engine: Vec<u8>,
    /// Delays.
    pub(crate) lead: Lead,
    /// The shadow score.
    pub(crate) shadow: Shadow,
}

/// A directory; or nothing, where none is configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    root: Option<PathBuf>,
}

impl Store {
    /// Keeps everything under `root`, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self {
            root: Some(root.to_owned()),
        })
    }

    /// Keeps nothing.
    #[must_use]
    pub(crate) fn nowhere() -> Self {
        Self::default()
    }

    fn folder(&self, key: &Key) -> Option<PathBuf> {
        // Names of Kubernetes objects are DNS labels; anything else would leave the root.
        let plain = |name: &str| {
            !name.is_empty()
                && !name.starts_with('.')
                && name
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'.')
        };
        let root = self.root.as_ref()?;
        (plain(&key.0) && plain(&key.1)).then(|| root.join(&key.0).join(&key.1))
    }

    /// Keeps what was learned.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn save(&self, key: &Key, saved: &Saved) -> io::Result<()> {
        match self.folder(key) {
            Some(folder) => write(&folder.join(STATE), saved),
            None => Ok(()),
        }
    }

    /// What was learned; none where there is nothing, or nothing that can be read.
    #[must_use]
    pub(crate) fn load(&self, key: &Key) -> Option<Saved> {
        read(&self.folder(key)?.join(STATE)).ok()
    }

    /// Keeps one decision, and drops the oldest beyond [`DECISIONS_MAX`].
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn record(&self, key: &Key, decision: &DecisionRecord) -> io::Result<()> {
        let Some(folder) = self.folder(key) else {
            return Ok(());
        };
        let folder = folder.join(DECISIONS);
        let at = decision.context.now as i64;
        write(&folder.join(format!("{at:012}{SUFFIX}")), decision)?;
        let times = self.decisions(key);
        for old in &times[..times.len().saturating_sub(DECISIONS_MAX)] {
            fs::remove_file(folder.join(format!("{old:012}{SUFFIX}")))?;
        }
        Ok(())
    }

    /// When the decisions were made that are kept, oldest first.
    #[must_use]
    pub(crate) fn decisions(&self, key: &Key) -> Vec<i64> {
        let Some(folder) = self.folder(key) else {
            return Vec::new();
        };
        let Ok(files) = fs::read_dir(folder.join(DECISIONS)) else {
            return Vec::new();
        };
        let name = |file: io::Result<fs::DirEntry>| {
            let name = file.ok()?.file_name().into_string().ok()?;
            name.strip_suffix(SUFFIX)?.parse().ok()
        };
        let mut times: Vec<i64> = files.filter_map(name).collect();
        times.sort_unstable();
        times
    }

    /// The decision that was made at `at`.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    #[cfg(test)]
    pub(crate) fn decision(&self, key: &Key, at: i64) -> io::Result<DecisionRecord> {
        let folder = self.folder(key).ok_or(io::ErrorKind::NotFound)?;
        read(&folder.join(DECISIONS).join(format!("{at:012}{SUFFIX}")))
    }

    /// Forgets a policy that is gone.
    ///
    /// # Errors
    /// When files stay.
    pub(crate) fn forget(&self, key: &Key) -> io::Result<()> {
        let Some(folder) = self.folder(key) else {
            return Ok(());
        };
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_vec(value).map_err(io::Error::other)?;
    let bytes = zstd::encode_all(&json[..], LEVEL)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let aside = path.with_extension("new");
    let mut file = fs::File::create(&aside)?;
    file.write_all(&bytes)?;
    fs::rename(aside, path)
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    use std::io::Read as _;
    let unpacked = zstd::Decoder::new(fs::File::open(path)?)?;
    let mut json = Vec::new();
    unpacked.take(FILE_BYTES_MAX).read_to_end(&mut json)?;
    serde_json::from_slice(&json).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        ("shop".to_owned(), name.to_owned())
    }

    #[test]
    fn what_was_learned_comes_back_and_a_broken_file_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.load(&key("web")), None);
        let saved = Saved {
            engine: vec![1, 2, 3],
            ..Saved::default()
        };
        store.save(&key("web"), &saved).unwrap();
        assert_eq!(store.load(&key("web")), Some(saved.clone()));
        fs::write(folder.path().join("shop/web").join(STATE), b"garbage").unwrap();
        assert_eq!(store.load(&key("web")), None);
        store.save(&key("web"), &saved).unwrap();
        store.forget(&key("web")).unwrap();
        store.forget(&key("web")).unwrap();
        assert_eq!(store.load(&key("web")), None);
    }

    /// A decision as a worker makes it, of a target that nothing is known of.
    fn decision(now: i64) -> DecisionRecord {
        use foreshard_api::validated::ValidatedPolicy;
        let spec = serde_json::json!({
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "signals": [{"name": "demand", "query": "x", "sourceRef": {"name": "main"}, "targetAverageValue": "70"}],
            "actions": [{"type": "Replicas", "min": 2, "max": 20}],
        });
        let policy = ValidatedPolicy::parse(&serde_json::from_value(spec).unwrap()).unwrap();
        let known = crate::future::known(&policy, "web", &[], &[], now);
        let seen = crate::target::Seen {
            wanted: 3,
            ready: 2,
            resource_version: "1".to_owned(),
            stuck: None,
            paused: false,
        };
        let part = crate::part::part(&policy, &known, &seen, &Lead::default(), None, now);
        let history = foreshard_forecast::Series {
            start: now - 3600,
            step: 300,
            values: (0..12).map(|bin| 200.0 + f64::from(bin) / 3.0).collect(),
        };
        let observation = foreshard_engine::Observation {
            now,
            next: now + 60,
            parts: vec![part],
            signals: vec![foreshard_engine::SignalSeen {
                name: "demand",
                part: crate::part::PART,
                unit: "requests/s",
                history: &history,
                latest: None,
                censored: false,
            }],
            recent: Vec::new(),
        };
        let host = foreshard_policy::HostConfig::new(foreshard_policy::Compiler::InProcess);
        let host = std::sync::Arc::new(foreshard_policy::Host::new(host).unwrap());
        let settings = crate::part::settings(&policy, &known, "shop", now);
        let mut engine = foreshard_engine::Engine::new(settings);
        let mut nobody = crate::policies::Bound::new(&host);
        let outcome = engine.step(&observation, &mut nobody);
        (*outcome.record).clone()
    }

    #[test]
    fn decisions_that_are_kept_replay_bit_for_bit_and_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let first = 1_783_072_800;
        let times: Vec<i64> = (0..DECISIONS_MAX as i64 + 2)
            .map(|minute| first + 60 * minute)
            .collect();
        for &now in &times {
            store.record(&key("web"), &decision(now)).unwrap();
        }
        assert_eq!(store.decisions(&key("web")), times[2..]);
        let kept = store.decision(&key("web"), times[5]).unwrap();
        let again = foreshard_decide::replay(&kept);
        let bytes = |record: &DecisionRecord| serde_json::to_vec(record).unwrap();
        assert_eq!(bytes(&again), bytes(&kept));
        assert_eq!(bytes(&kept), bytes(&decision(times[5])));
    }

    #[test]
    fn no_name_leads_out_of_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("in")).unwrap();
        for name in ["..", "../x", "a/b", ""] {
            store.save(&key(name), &Saved::default()).unwrap();
            assert_eq!(store.load(&key(name)), None, "{name}");
        }
        assert!(!folder.path().join("x").exists());
    }
}
