//! From a spec's names to what they stand for: sources to watches, modules to bindings.

use std::sync::Arc;

use foreshard_api::condition::{Finding, kind};
use foreshard_api::v1alpha1::{ModuleRef, PolicyBinding};
use foreshard_api::validated::ValidatedPolicy;
use foreshard_history::collector::{Seen, State, Watch};
use foreshard_policy::Module;

use crate::modules::{DEFAULT, Found, LOADING, Trouble};
use crate::part::{KIND, stale_seconds};
use crate::policies::Bound;
use crate::shared::Shared;
use crate::sources::Made;
use foreshard_controller::index::Key;

/// One failed query is no news; what goes on for so long is.
const TROUBLE_SECONDS: i64 = 15;

/// Of what a signal adds up, the share that has to be scraped; one of ten may be starting or ending.
const UP_MIN: f64 = 0.9;
/// What was not scraped within so many seconds may still be missing in a rate.
const UP_SECONDS: i64 = 300;

/// A signal that is watched.
pub(super) struct Watched {
    pub(super) made: Arc<Made>,
    pub(super) watch: Watch,
    query: String,
}

/// What a policy's names stand for; kept from pass to pass.
#[derive(Default)]
pub(super) struct Resolved {
    /// For each signal of the spec, in its order: what is watched, or why not.
    pub(super) signals: Vec<Result<Watched, (&'static str, String)>>,
    /// For each signal, what says how much of it is scraped, if that is asked.
    ups: Vec<Option<Result<Watched, String>>>,
    /// Who decides; none: only the floor.
    pub(super) bound: Option<Bound>,
    /// What `bound` was made of.
    made_of: Vec<(String, String, String)>,
    /// The modules in it.
    held: Vec<Arc<Module>>,
}

impl Resolved {
    /// Looks up every signal's source; what did not change stays as it is. Answers whether one is watched that was not
    /// before, whose history is to be read.
    pub(super) async fn signals(
        &mut self,
        shared: &Shared,
        namespace: &str,
        policy: &ValidatedPolicy,
    ) -> bool {
        let mut is_new = false;
        // Wherever it stands in the list, an equal query goes on; what is gone is let go at the end.
        let mut old: Vec<_> = std::mem::take(&mut self.signals)
            .into_iter()
            .map(Result::ok)
            .collect();
        let ups = std::mem::take(&mut self.ups).into_iter();
        old.extend(ups.map(|it| it.and_then(Result::ok)));
        for signal in &policy.signals {
            let found = shared.sources.find(namespace, &signal.source).await;
            self.ups.push(match (&found, &signal.up_query) {
                (Ok(made), Some(query)) => Some(match take(&mut old, made, query) {
                    Some(before) => Ok(before),
                    None => watch(Arc::clone(made), query),
                }),
                _ => None,
            });
            let watched = match found {
                Err(trouble) => Err((
                    trouble.reason,
                    format!("signal {}: {}", signal.name, trouble.message),
                )),
                Ok(made) => match take(&mut old, &made, &signal.query) {
                    Some(before) => Ok(before),
                    None => {
                        is_new = true;
                        watch(made, &signal.query).map_err(|why| {
                            ("QueryInvalid", format!("signal {}: {why}", signal.name))
                        })
                    }
                },
            };
            self.signals.push(watched);
        }
        is_new
    }

    /// Looks up every module and asks it about its config; what did not change stays as it is.
    pub(super) async fn modules(
        &mut self,
        shared: &Shared,
        key: &Key,
        policy: &ValidatedPolicy,
    ) -> Finding {
        let default;
        let bindings = if policy.bindings.is_empty() {
            default = [default_binding(policy)];
            &default[..]
        } else {
            &policy.bindings[..]
        };
        let mut found: Vec<(Found, &PolicyBinding)> = Vec::new();
        let mut troubles = Vec::new();
        for binding in bindings {
            match shared.modules.find(&key.0, &binding.module_ref) {
                Ok(module) => {
                    troubles.extend(module.but.clone());
                    found.push((module, binding));
                }
                Err(trouble) => match self.pinned(&binding.module_ref) {
                    Some(module) => {
                        troubles.push(Trouble {
                            message: format!("{}; the latter goes on deciding", trouble.message),
                            ..trouble
                        });
                        found.push((Found { module, but: None }, binding));
                    }
                    None => troubles.push(trouble),
                },
            }
        }
        let config = |binding: &PolicyBinding| {
            binding
                .config
                .as_ref()
                .map_or("{}".to_owned(), ToString::to_string)
        };
        let made_of: Vec<_> = found
            .iter()
            .map(|(found, binding)| {
                let digest = found.module.digest().to_owned();
                (binding.name.clone(), digest, config(binding))
            })
            .collect();
        if self.bound.is_none() || self.made_of != made_of {
            let modules: Vec<_> = found.into_iter().map(|(found, _)| found.module).collect();
            match bind(shared, modules.clone(), made_of.clone()).await {
                Ok(bound) => {
                    self.bound = Some(bound);
                    self.made_of = made_of;
                    self.held = modules;
                }
                // Those that were bound before go on deciding.
                Err(why) => return Finding::no(kind::POLICY_ACCEPTED, "ConfigRefused", why),
            }
        }
        if let Some(trouble) = troubles.into_iter().next() {
            if trouble.reason == LOADING {
                return Finding::unknown(kind::POLICY_ACCEPTED, trouble.reason, trouble.message);
            }
            return Finding::no(kind::POLICY_ACCEPTED, trouble.reason, trouble.message);
        }
        let names: Vec<&str> = policy
            .signals
            .iter()
            .map(|signal| signal.name.as_str())
            .collect();
        let missing = self
            .bound
            .as_ref()
            .map(|bound| bound.missing_signals(&names))
            .unwrap_or_default();
        if let Some(name) = missing.first() {
            let message =
                format!("a policy needs the signal {name:?}, which spec.signals does not have");
            return Finding::no(kind::POLICY_ACCEPTED, "SignalMissing", message);
        }
        let names: Vec<&str> = self
            .made_of
            .iter()
            .map(|(name, _, _)| name.as_str())
            .collect();
        Finding::yes(
            kind::POLICY_ACCEPTED,
            "Accepted",
            format!("{} decides.", names.join(", ")),
        )
    }

    /// The module of a digest that a policy names and that has been replaced since it was loaded.
    fn pinned(&self, wanted: &ModuleRef) -> Option<Arc<Module>> {
        let digest = wanted.digest.as_deref()?;
        let mut held = self.held.iter();
        held.find(|module| module.digest() == digest).cloned()
    }

    /// What is to be said while every signal has a fresh sample.
    pub(super) fn fresh(&self, policy: &ValidatedPolicy) -> Finding {
        let signals = self.signals.iter().zip(&policy.signals);
        let counter = signals.into_iter().find_map(|(watched, signal)| {
            let counter = watched.as_ref().ok()?.watch.raw_counter()?;
            Some((&signal.name, counter.to_owned()))
        });
        match counter {
            None => Finding::yes(
                kind::METRICS_FRESH,
                "Fresh",
                "Every signal has a fresh sample.",
            ),
            Some((signal, counter)) => Finding::yes(
                kind::METRICS_FRESH,
                "RawCounter",
                format!(
                    "Every signal has a fresh sample, but signal {signal} reads the counter {counter} as it is, which \
                     only ever grows: a load is sum(rate({counter}[5m]))"
                ),
            ),
        }
    }

    /// Why less may be measured than there is, if so: the first of the signals that are asked about.
    pub(super) fn incomplete(
        &self,
        policy: &ValidatedPolicy,
        now: i64,
    ) -> Option<(&'static str, String)> {
        let signals = self.ups.iter().zip(&policy.signals);
        signals.into_iter().find_map(|(up, signal)| {
            let up = up.as_ref()?;
            let why = match up {
                Ok(up) => short_of(&up.watch.seen(), now, stale_seconds(policy))?,
                Err(why) => Short::Unknown(why.clone()),
            };
            let (name, query) = (&signal.name, signal.up_query.as_deref().unwrap_or(""));
            Some(match why {
                Short::Waits => ("Waiting", format!("signal {name}: upQuery was not answered yet")),
                Short::Unknown(why) => (
                    "MetricsIncomplete",
                    format!("signal {name}: how much of it is scraped is not known: upQuery {query}: {why}"),
                ),
                Short::Share(up) => (
                    "MetricsIncomplete",
                    format!(
                        "signal {name}: {:.0} % of it is scraped, or was within the last five minutes, and it takes {:.0} %: \
                         upQuery {query}",
                        up * 100.0,
                        UP_MIN * 100.0
                    ),
                ),
            })
        })
    }

    /// Why signals give nothing, if so: the first of them.
    pub(super) fn trouble(
        &self,
        policy: &ValidatedPolicy,
        now: i64,
    ) -> Option<(&'static str, String)> {
        self.signals.iter().zip(&policy.signals).find_map(|(watched, signal)| match watched {
            Err(trouble) => Some(trouble.clone()),
            Ok(watched) => match watched.watch.state() {
                State::Failing { fault, since } if now - since >= TROUBLE_SECONDS => {
                    Some(("QueryFailed", format!("signal {}: {fault}", signal.name)))
                }
                State::NoData { since } if now - since >= TROUBLE_SECONDS => Some((
                    "NoData",
                    format!(
                        "signal {}: the query works and gives nothing; try it in Prometheus: {}",
                        signal.name,
                        watched.watch.promql()
                    ),
                )),
                State::Waiting => Some((
                    "Waiting",
                    format!("signal {}: no query was answered yet", signal.name),
                )),
                _ => None,
            },
        })
    }
}

/// Why less may be measured than there is.
#[derive(Debug, PartialEq)]
enum Short {
    /// Nothing was answered yet.
    Waits,
    /// Nobody knows.
    Unknown(String),
    /// This share is scraped.
    Share(f64),
}

/// Judges what says how much is scraped; none: enough of it.
fn short_of(up: &Seen, now: i64, stale_seconds: i64) -> Option<Short> {
    let unknown = |why: &str| Some(Short::Unknown(why.to_owned()));
    match &up.state {
        State::Waiting => return Some(Short::Waits),
        State::NoData { .. } => return unknown("it gives nothing"),
        _ => {}
    }
    let fresh = up.latest.filter(|it| now - it.at <= stale_seconds);
    let Some(latest) = fresh else {
        return match &up.state {
            State::Failing { fault, .. } => unknown(&fault.to_string()),
            _ => unknown("its newest sample is too old"),
        };
    };
    if !(0.0..=1.0).contains(&latest.value) {
        return unknown("it is to give a share, 0 to 1");
    }
    let recent = &up.recent;
    let ends = |index: usize| recent.start + recent.step * (index as i64 + 1);
    let bins = recent.values.iter().enumerate();
    let bins = bins.filter(|(index, _)| now - ends(*index) <= UP_SECONDS);
    let least = bins
        .map(|(_, bin)| *bin)
        .filter(|bin| !bin.is_nan())
        .fold(latest.value, f64::min);
    (least < UP_MIN).then_some(Short::Share(least))
}

/// Takes out whoever watches this query of this source.
fn take(old: &mut [Option<Watched>], made: &Arc<Made>, query: &str) -> Option<Watched> {
    let is_it = |it: &Watched| Arc::ptr_eq(&it.made, made) && it.query == query;
    let found = old.iter_mut().find(|it| it.as_ref().is_some_and(is_it));
    found.and_then(Option::take)
}

fn watch(made: Arc<Made>, query: &str) -> Result<Watched, String> {
    let watch = made
        .collector
        .watch(query)
        .map_err(|error| error.to_string())?;
    Ok(Watched {
        made,
        watch,
        query: query.to_owned(),
    })
}

/// Configs are asked about off the async threads, and only so many at once.
async fn bind(
    shared: &Shared,
    modules: Vec<Arc<Module>>,
    made_of: Vec<(String, String, String)>,
) -> Result<Bound, String> {
    let permit = Arc::clone(&shared.evaluations).acquire_owned().await;
    let host = Arc::clone(shared.modules.host());
    let binding = move || {
        let _permit = permit;
        let mut bound = Bound::new(&host);
        for (module, (name, _, config)) in modules.into_iter().zip(&made_of) {
            bound
                .bind(module, name, config, KIND)
                .map_err(|why| format!("the config of {name}: {why}"))?;
        }
        Ok(bound)
    };
    tokio::task::spawn_blocking(binding)
        .await
        .unwrap_or_else(|_| Err("asking the modules about their configs failed".to_owned()))
}

/// `forecast-headroom` on every signal.
fn default_binding(policy: &ValidatedPolicy) -> PolicyBinding {
    let names: Vec<&str> = policy
        .signals
        .iter()
        .map(|signal| signal.name.as_str())
        .collect();
    PolicyBinding {
        name: DEFAULT.to_owned(),
        module_ref: ModuleRef {
            name: DEFAULT.to_owned(),
            digest: None,
        },
        config: Some(serde_json::json!({ "signals": names })),
    }
}

#[cfg(test)]
mod tests {
    use foreshard_forecast::{Sample, Series};

    use super::*;

    #[test]
    fn a_share_that_was_short_or_is_not_known_holds() {
        const NOW: i64 = 1_000_200;
        let seen = |latest: Option<(i64, f64)>, recent: &[f64], state: State| Seen {
            history: Series {
                start: 0,
                step: 300,
                values: Vec::new(),
            },
            recent: Series {
                start: NOW - 60 * 10,
                step: 60,
                values: recent.to_vec(),
            },
            latest: latest.map(|(ago, value)| Sample {
                at: NOW - ago,
                value,
            }),
            state,
            history_fault: None,
        };
        let judge = |seen: &Seen| short_of(seen, NOW, 180);
        let all = [1.0; 10];
        // Scraped again for two minutes: a rate over its last five still lacks it.
        let again = [1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 1.0, 1.0];
        let long_ago = [0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0, f64::NAN, 1.0, 1.0];
        assert_eq!(judge(&seen(Some((5, 1.0)), &all, State::Fresh)), None);
        assert_eq!(judge(&seen(Some((5, 0.95)), &long_ago, State::Fresh)), None);
        let short = Some(Short::Share(0.5));
        assert_eq!(judge(&seen(Some((5, 0.5)), &all, State::Fresh)), short);
        assert_eq!(judge(&seen(Some((5, 1.0)), &again, State::Fresh)), short);
        assert_eq!(judge(&seen(None, &[], State::Waiting)), Some(Short::Waits));
        for (latest, state) in [
            (Some((5, 1.0)), State::NoData { since: NOW - 5 }),
            (Some((200, 1.0)), State::Fresh),
            (None, State::Fresh),
            (Some((5, 12.0)), State::Fresh),
            (Some((5, f64::NAN)), State::Fresh),
        ] {
            let judged = judge(&seen(latest, &all, state));
            assert!(matches!(judged, Some(Short::Unknown(_))), "{judged:?}");
        }
    }
}
