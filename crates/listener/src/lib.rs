//! Connections that HTTP comes by: TLS with certificates that are read again, limits, and a graceful end.
//!
//! It knows nothing of what is asked and answered: whoever serves brings an [`axum::Router`].
#![forbid(unsafe_code)]

mod accept;
mod activity;
mod clients;
mod connection;
mod places;
mod subject;
mod tls;
mod watched;

pub use accept::{Bounds, ListenError, PlainText, accept, listen, require_tls};
pub use clients::{ClientAuthority, ClientAuthorityError, ClientCertificate};
pub use connection::Protocol;
pub use places::{NoPlace, Place, Places, peer_of};
pub use tls::{Tls, TlsError};
