//! Who calls, and what they may do: the port that a cluster implements with its API server.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use futures::future::BoxFuture;

/// Says who a caller is and what they may do.
pub trait Access: Send + Sync + 'static {
    /// Who the caller is.
    ///
    /// # Errors
    /// [`Denied::Unknown`] without a valid token, [`Denied::Unavailable`] when nobody can be asked.
    fn identify<'a>(&'a self, caller: Caller<'a>) -> BoxFuture<'a, Result<Identity, Denied>>;

    /// Whether the caller is known to be who they say without a question to anybody. Others are asked about only so
    /// often. A wrong no only costs a place among them.
    fn knows(&self, caller: Caller<'_>) -> bool;

    /// Whether they may do that.
    ///
    /// # Errors
    /// [`Denied::Forbidden`] when they may not, [`Denied::Unavailable`] when nobody can be asked.
    fn allow<'a>(
        &'a self,
        who: &'a Identity,
        action: &'a Action,
    ) -> BoxFuture<'a, Result<(), Denied>>;

    /// Whether callers show a token. If not, web sites of others could call in a visitor's name and are kept out.
    fn asks_for_token(&self) -> bool {
        true
    }
}

/// What is known of a caller before anybody was asked.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The bearer token.
    pub token: Option<&'a str>,
    /// Where the connection comes from.
    pub peer: Option<IpAddr>,
}

/// Who calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// User name, such as `system:serviceaccount:shop:ci`.
    pub user: String,
    /// Unique over time; may be unknown.
    pub uid: Option<String>,
    /// Groups that the user is in.
    pub groups: Vec<String>,
    /// What else the authenticator said, for the authorizer.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// What a caller wants to do, in the terms of Kubernetes' RBAC.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Something with an object of the group `foreshard.dev`.
    OnResource {
        /// `get`, `list`, `create`, `update`, `delete`, `approve`.
        verb: &'static str,
        /// In the plural, such as `policymodules`.
        resource: &'static str,
        /// None: in all namespaces.
        namespace: Option<String>,
        /// None: any object.
        name: Option<String>,
    },
    /// A path of the server itself, such as `/metrics`.
    OnPath {
        /// In lower case.
        verb: &'static str,
        /// The path.
        path: &'static str,
    },
}

impl Action {
    /// Something with one object of the group `foreshard.dev`.
    pub(crate) fn on(
        verb: &'static str,
        resource: &'static str,
        namespace: &str,
        name: &str,
    ) -> Self {
        Self::OnResource {
            verb,
            resource,
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnPath { verb, path } => write!(f, "{verb} {path}"),
            Self::OnResource {
                verb,
                resource,
                namespace,
                name,
            } => {
                write!(f, "{verb} {resource}.foreshard.dev")?;
                if let Some(name) = name {
                    write!(f, " {name:?}")?;
                }
                match namespace {
                    Some(namespace) => write!(f, " in namespace {namespace:?}"),
                    None => write!(f, " in all namespaces"),
                }
            }
        }
    }
}

/// Why a caller does not get through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Nobody knows who they are, and why not.
    Unknown(String),
    /// They may not; what the authorizer says about it, maybe nothing.
    Forbidden(String),
    /// It can't be found out at this moment, and why not.
    Unavailable(String),
}

/// Everybody may do everything: for a server that only this machine reaches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Everybody;

impl Access for Everybody {
    fn identify<'a>(&'a self, _: Caller<'a>) -> BoxFuture<'a, Result<Identity, Denied>> {
        let anonymous = Identity {
            user: "anonymous".to_owned(),
            ..Identity::default()
        };
        Box::pin(async { Ok(anonymous) })
    }

    fn knows(&self, _: Caller<'_>) -> bool {
        true
    }

    fn allow<'a>(&'a self, _: &'a Identity, _: &'a Action) -> BoxFuture<'a, Result<(), Denied>> {
        Box::pin(async { Ok(()) })
    }

    fn asks_for_token(&self) -> bool {
        false
    }
}
