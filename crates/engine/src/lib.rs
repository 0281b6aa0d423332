//! One evaluation of one target: forecasts kept fitted and calibrated, policies asked, plan made.
//!
//! [`Engine::step`] is the one decision path of demo, backtest and cluster; they differ only in where observations come
//! from and where counts go. Pure: what comes out follows from the settings and from what was fed, nothing else.
#![forbid(unsafe_code)]

mod advise;
mod asked;
mod budget;
mod context;
mod engine;
mod events;
mod forecaster;
mod gate;
mod observation;
mod policies;
mod settings;
mod snapshot;
mod windows;

pub use advise::advised_headroom;
pub use engine::{Engine, MEMORY_BYTES_MAX, Outcome};
pub use observation::{Observation, SignalSeen};
pub use policies::{Binding, Policies};
pub use settings::{Aims, Crowd, Settings};
pub use snapshot::RestoreError;
