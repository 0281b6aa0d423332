//! Who changed what: one event of target `foreshard::audit` for every request that changes something or was refused
//! to.

use std::sync::{Arc, OnceLock};

use axum::http::StatusCode;

use crate::access::{Action, Identity};
use crate::orders::OverrideOrder;

/// One request's entry. It is written when the value goes, so that nothing is missed when a client leaves halfway.
pub(crate) struct Entry {
    user: String,
    peer: String,
    action: Option<Action>,
    note: Note,
    status: Option<StatusCode>,
}

/// What a handler adds to the entry of its request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note {
    digest: Arc<OnceLock<String>>,
    name: Arc<OnceLock<String>>,
    order: Arc<OnceLock<OverrideOrder>>,
}

impl Note {
    /// Digest of what is uploaded or approved.
    pub(crate) fn digest(&self, digest: &str) {
        // Once written it stays.
        let _ = self.digest.set(digest.to_owned());
    }

    /// Name of what was made, where the path has none.
    pub(crate) fn name(&self, name: &str) {
        let _ = self.name.set(name.to_owned());
    }

    /// What is to be put above all policies.
    pub(crate) fn order(&self, order: &OverrideOrder) {
        let _ = self.order.set(order.clone());
    }

    /// The order in a line; empty: there is none.
    fn ordered(&self) -> String {
        let Some(order) = self.order.get() else {
            return String::new();
        };
        let count = |count: Option<i32>| count.map_or("none".to_owned(), |it| it.to_string());
        format!(
            "policy {}, at least {}, at most {}, pause {:?}, for {} s",
            order.policy,
            count(order.min_replicas),
            count(order.max_replicas),
            order.pause,
            order.expiry_seconds
        )
    }
}

impl Entry {
    pub(crate) fn new(peer: String) -> Self {
        Self {
            user: String::new(),
            peer,
            action: None,
            note: Note::default(),
            status: None,
        }
    }

    pub(crate) fn who(&mut self, who: &Identity) {
        self.user.clone_from(&who.user);
    }

    pub(crate) fn action(&mut self, action: &Action) {
        self.action = Some(action.clone());
    }

    pub(crate) fn note(&self) -> Note {
        self.note.clone()
    }

    /// Writes it.
    pub(crate) fn end(mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(Action::OnResource {
            verb,
            resource,
            namespace,
            name,
        }) = &self.action
        else {
            return;
        };
        if matches!(*verb, "get" | "list") {
            return;
        }
        let outcome = match self.status {
            Some(status) if status.is_success() => "done",
            Some(status) if status.is_client_error() => "refused",
            Some(_) => "failed",
            None => "abandoned",
        };
        let name = name.as_ref().or_else(|| self.note.name.get());
        tracing::info!(
            target: "foreshard::audit",
            user = self.user,
            peer = self.peer,
            verb,
            resource,
            namespace = namespace.as_deref().unwrap_or_default(),
            name = name.map_or("", String::as_str),
            digest = self.note.digest.get().map_or("", String::as_str),
            order = self.note.ordered(),
            outcome,
            status = self.status.map_or(0, |status| status.as_u16()),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::Pause;

    #[test]
    fn an_override_is_told_with_all_that_it_orders() {
        let note = Note::default();
        assert_eq!(note.ordered(), "");
        note.order(&OverrideOrder {
            user: "ann".to_owned(),
            policy: "web.v2".parse().unwrap(),
            min_replicas: Some(3),
            max_replicas: None,
            pause: Pause::ScaleDown,
            expiry_seconds: 600,
            reason: "sale".to_owned(),
        });
        assert_eq!(
            note.ordered(),
            "policy web.v2, at least 3, at most none, pause ScaleDown, for 600 s"
        );
    }
}
