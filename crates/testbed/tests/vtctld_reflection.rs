//! Whether the messages of `foreshard-vtctld` are those of a real vtctld, by what it says of itself.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::collections::BTreeMap;

use foreshard_testbed::{Shape, Vitess, or_left_out};
use foreshard_vtctld::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet,
};
use tonic::transport::Endpoint;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

const SERVICE: &str = "vtctlservice.Vtctld";
const GATE_SERVICE: &str = "vtgateservice.Vitess";

#[test]
fn our_messages_are_those_of_vtctld() {
    let started = Vitess::start(&Shape::of_shards(&["-"]));
    let Some(mut vitess) = or_left_out("messages of vtctld", started) else {
        return;
    };
    let mut theirs = vitess.block_on(reflect(vitess.vtctld().address(), SERVICE));
    let gate = vitess.gate_grpc().unwrap().to_string();
    theirs.extend(vitess.block_on(reflect(&gate, GATE_SERVICE)));
    let theirs = Catalogue::of(&theirs);
    let ours = Catalogue::of(&our_files());
    assert!(ours.entries.len() > 150, "{}", ours.entries.len());
    let differences = ours.differences(&theirs);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_difference_is_found() {
    let ours = Catalogue::of(&our_files());
    type Change = fn(&mut FieldDescriptorProto);
    let changes: [Change; 4] = [
        |field| field.number = Some(99),
        |field| field.name = Some("other".to_owned()),
        |field| field.set_label(prost_types::field_descriptor_proto::Label::Repeated),
        |field| field.set_type(prost_types::field_descriptor_proto::Type::Bytes),
    ];
    for change in changes {
        let mut changed = our_files();
        let file = changed
            .iter_mut()
            .find(|file| file.package() == "vttime")
            .unwrap();
        change(&mut file.message_type[0].field[0]);
        let differences = Catalogue::of(&changed).differences(&ours);
        assert_eq!(differences.len(), 1, "{differences:?}");
    }
}

fn our_files() -> Vec<FileDescriptorProto> {
    FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file
}

/// Asks a server for the files of the service, and of all that it needs.
async fn reflect(address: &str, service: &str) -> Vec<FileDescriptorProto> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.connect().await.unwrap();
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(service.to_owned())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let Some(MessageResponse::FileDescriptorResponse(files)) = answer.message_response else {
        panic!("{answer:?}");
    };
    files
        .file_descriptor_proto
        .iter()
        .map(|bytes| FileDescriptorProto::decode(bytes.as_slice()).unwrap())
        .collect()
}

/// What counts on the wire, by full name.
#[derive(Debug, Default)]
struct Catalogue {
    entries: BTreeMap<String, String>,
}

impl Catalogue {
    fn of(files: &[FileDescriptorProto]) -> Self {
        let mut catalogue = Self::default();
        for file in files {
            let package = file.package();
            for message in &file.message_type {
                catalogue.add_message(package, message);
            }
            for values in &file.enum_type {
                catalogue.add_enum(package, values);
            }
            for service in &file.service {
                for method in &service.method {
                    let name = format!("{package}.{}/{}", service.name(), method.name());
                    let what = format!(
                        "{} -> {}, streams {} {}",
                        method.input_type(),
                        method.output_type(),
                        method.client_streaming(),
                        method.server_streaming()
                    );
                    catalogue.entries.insert(name, what);
                }
            }
        }
        catalogue
    }

    fn add_message(&mut self, parent: &str, message: &DescriptorProto) {
        let name = format!("{parent}.{}", message.name());
        for field in &message.field {
            let what = format!(
                "number {}, {:?}, {:?}, {}{}",
                field.number(),
                field.r#type(),
                field.label(),
                field.type_name(),
                if field.proto3_optional() {
                    ", optional"
                } else {
                    ""
                }
            );
            self.entries
                .insert(format!("{name}.{}", field.name()), what);
        }
        for nested in &message.nested_type {
            self.add_message(&name, nested);
        }
        for values in &message.enum_type {
            self.add_enum(&name, values);
        }
    }

    fn add_enum(&mut self, parent: &str, values: &EnumDescriptorProto) {
        for value in &values.value {
            let name = format!("{parent}.{}.{}", values.name(), value.name());
            self.entries
                .insert(name, format!("number {}", value.number()));
        }
    }

    /// What is ours and not, or otherwise, theirs.
    fn differences(&self, theirs: &Self) -> Vec<String> {
        self.entries
            .iter()
            .filter(|(name, ours)| theirs.entries.get(*name) != Some(*ours))
            .map(|(name, ours)| {
                let theirs = theirs.entries.get(name).map_or("missing", String::as_str);
                format!("{name}: ours {ours}; theirs {theirs}")
            })
            .collect()
    }
}
