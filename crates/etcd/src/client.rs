//! The connection to one member, and the calls.

use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Response, Status as Refusal};

use crate::error::tame;
use crate::member::{Alarm, AlarmKind, Id, Member, Members, Status};
use crate::wire::alarm_request::AlarmAction;
use crate::wire::cluster_client::ClusterClient;
use crate::wire::maintenance_client::MaintenanceClient;
use crate::{Error, wire};

/// A call that only reads.
const READ_DEADLINE: Duration = Duration::from_secs(3);
/// A call that changes the cluster: a majority has to write it.
const CHANGE_DEADLINE: Duration = Duration::from_secs(10);
/// Defragmentation writes the whole database anew: at most 8 GiB, at 100 MB/s.
const DEFRAGMENT_DEADLINE: Duration = Duration::from_secs(120);
/// A member that is there answers a connection at once.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// By what a member is known, and we to it. All of it PEM.
#[derive(Clone)]
pub struct Tls {
    /// The authority that signed the member's certificate.
    pub ca: String,
    /// Our certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// A client of one member. Cheap to clone; clones share the connection, which is made by the first call.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    address: String,
}

impl Client {
    /// A client of the member at `HOST:PORT`, which has to show a certificate for `server_name`. To be called on the
    /// runtime that calls are made on.
    ///
    /// # Errors
    /// [`Error::Address`], also when certificate or key cannot be read.
    pub fn new(address: &str, server_name: &str, tls: &Tls) -> Result<Self, Error> {
        let wrong = |error: tonic::transport::Error| Error::Address {
            address: tame(address),
            reason: std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), |it| it.to_string()),
        };
        let config = ClientTlsConfig::new()
            .domain_name(server_name)
            .ca_certificate(Certificate::from_pem(&tls.ca))
            .identity(Identity::from_pem(&tls.certificate, &tls.key));
        let endpoint = Endpoint::from_shared(format!("https://{address}"))
            .map_err(wrong)?
            .connect_timeout(CONNECT_DEADLINE)
            .tls_config(config)
            .map_err(wrong)?;
        Ok(Self {
            channel: endpoint.connect_lazy(),
            address: address.to_owned(),
        })
    }

    /// Members, as a majority agrees.
    ///
    /// # Errors
    /// [`Error`]; without a majority there is no answer.
    pub async fn members(&self) -> Result<Members, Error> {
        let call = "MemberList";
        let request = wire::MemberListRequest { linearizable: true };
        let answer = self
            .ask(call, READ_DEADLINE, request, async |channel, request| {
                ClusterClient::new(channel).member_list(request).await
            })
            .await?;
        let header = answer.header.ok_or_else(|| self.lacks(call, "header"))?;
        Ok(Members {
            cluster: Id(header.cluster_id),
            all: answer.members.into_iter().map(Member::from).collect(),
        })
    }

    /// Adds a member that learns first; answers its identity.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn add_learner(&self, peer_url: &str) -> Result<Id, Error> {
        let call = "MemberAdd";
        let request = wire::MemberAddRequest {
            peer_ur_ls: vec![peer_url.to_owned()],
            is_learner: true,
        };
        let answer = self
            .ask(call, CHANGE_DEADLINE, request, async |channel, request| {
                ClusterClient::new(channel).member_add(request).await
            })
            .await?;
        let member = answer.member.ok_or_else(|| self.lacks(call, "member"))?;
        Ok(Id(member.id))
    }

    /// Lets a learner vote.
    ///
    /// # Errors
    /// [`Error`]; see [`Error::is_not_in_sync`].
    pub async fn promote(&self, id: Id) -> Result<(), Error> {
        let request = wire::MemberPromoteRequest { id: id.0 };
        self.ask(
            "MemberPromote",
            CHANGE_DEADLINE,
            request,
            async |channel, request| ClusterClient::new(channel).member_promote(request).await,
        )
        .await
        .map(drop)
    }

    /// Removes a member for good.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn remove(&self, id: Id) -> Result<(), Error> {
        let request = wire::MemberRemoveRequest { id: id.0 };
        self.ask(
            "MemberRemove",
            CHANGE_DEADLINE,
            request,
            async |channel, request| ClusterClient::new(channel).member_remove(request).await,
        )
        .await
        .map(drop)
    }

    /// What this member says of itself. It needs no majority.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn status(&self) -> Result<Status, Error> {
        let call = "Status";
        let request = wire::StatusRequest {};
        let answer = self
            .ask(call, READ_DEADLINE, request, async |channel, request| {
                MaintenanceClient::new(channel).status(request).await
            })
            .await?;
        let header = answer.header.ok_or_else(|| self.lacks(call, "header"))?;
        Ok(Status {
            cluster: Id(header.cluster_id),
            member: Id(header.member_id),
            version: tame(&answer.version),
            leader: (answer.leader != 0).then_some(Id(answer.leader)),
            is_learner: answer.is_learner,
            database_bytes: u64::try_from(answer.db_size).unwrap_or(0),
            in_use_bytes: u64::try_from(answer.db_size_in_use).unwrap_or(0),
        })
    }

    /// Alarms of all members.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn alarms(&self) -> Result<Vec<Alarm>, Error> {
        let answer = self.alarm(AlarmAction::Get, None).await?;
        let kind = |alarm: &wire::AlarmMember| match alarm.alarm() {
            wire::AlarmType::Nospace => AlarmKind::NoSpace,
            wire::AlarmType::Corrupt => AlarmKind::Corrupt,
            wire::AlarmType::None => AlarmKind::Other,
        };
        let all = answer.alarms.iter().map(|alarm| Alarm {
            member: Id(alarm.member_id),
            kind: kind(alarm),
        });
        Ok(all.collect())
    }

    /// Ends a member's alarm about space.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn disarm_no_space(&self, member: Id) -> Result<(), Error> {
        self.alarm(AlarmAction::Deactivate, Some(member))
            .await
            .map(drop)
    }

    async fn alarm(
        &self,
        action: AlarmAction,
        member: Option<Id>,
    ) -> Result<wire::AlarmResponse, Error> {
        let mut request = wire::AlarmRequest::default();
        request.set_action(action);
        if let Some(member) = member {
            request.member_id = member.0;
            request.set_alarm(wire::AlarmType::Nospace);
        }
        self.ask("Alarm", READ_DEADLINE, request, async |channel, request| {
            MaintenanceClient::new(channel).alarm(request).await
        })
        .await
    }

    /// Has this member write its database anew, without what is no longer in use. It answers nobody meanwhile.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn defragment(&self) -> Result<(), Error> {
        let request = wire::DefragmentRequest {};
        self.ask(
            "Defragment",
            DEFRAGMENT_DEADLINE,
            request,
            async |channel, request| MaintenanceClient::new(channel).defragment(request).await,
        )
        .await
        .map(drop)
    }

    async fn ask<Asked, Answer>(
        &self,
        call: &'static str,
        deadline: Duration,
        message: Asked,
        make: impl AsyncFnOnce(Channel, Request<Asked>) -> Result<Response<Answer>, Refusal>,
    ) -> Result<Answer, Error> {
        let mut request = Request::new(message);
        request.set_timeout(deadline);
        let late = || Error::Deadline {
            call,
            address: self.address.clone(),
            deadline,
        };
        match tokio::time::timeout(deadline, make(self.channel.clone(), request)).await {
            Err(_) => Err(late()),
            Ok(Err(refusal)) if refusal.code() == Code::DeadlineExceeded => Err(late()),
            Ok(Err(refusal)) => Err(Error::Status {
                call,
                address: self.address.clone(),
                code: refusal.code(),
                message: said(&refusal),
            }),
            Ok(Ok(answer)) => Ok(answer.into_inner()),
        }
    }

    fn lacks(&self, call: &'static str, field: &'static str) -> Error {
        Error::Answer {
            call,
            address: self.address.clone(),
            field,
        }
    }
}

/// The member's words; when the call did not reach it, the last cause, which says what is wrong with the way.
fn said(refusal: &Refusal) -> String {
    let mut cause: &dyn std::error::Error = refusal;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match std::error::Error::source(refusal) {
        Some(_) => tame(&format!("{}: {cause}", refusal.message())),
        None => tame(refusal.message()),
    }
}
