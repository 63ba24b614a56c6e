//! The contracts as text, kept: a field that disappears, changes its number or its type breaks clients that are out
//! there. After an addition, `UPDATE_GOLDEN=1 cargo test -p lombard-proto` writes the text anew.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use std::{fmt::Write as _, path::Path};

use prost::Message as _;
use prost_types::{
    DescriptorProto, FileDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

#[test]
fn contracts_change_by_addition_only() {
    let set = FileDescriptorSet::decode(lombard_proto::DESCRIPTORS).unwrap();
    let ours = set.file.iter().filter(|file| file.package().starts_with("lombard."));
    for file in ours {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("golden/{}.txt", file.package().trim_start_matches("lombard.")));
        let text = describe(file);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, golden, "{} differs", path.display());
    }
}

fn describe(file: &FileDescriptorProto) -> String {
    let mut out = String::new();
    for service in &file.service {
        for method in &service.method {
            let stream = |is_stream: bool| if is_stream { "stream " } else { "" };
            writeln!(
                out,
                "rpc {}.{}/{} ({}{}) -> {}{}",
                file.package(),
                service.name(),
                method.name(),
                stream(method.client_streaming()),
                method.input_type(),
                stream(method.server_streaming()),
                method.output_type(),
            )
            .unwrap();
        }
    }
    for message in &file.message_type {
        describe_message(message, message.name(), &mut out);
    }
    for group in &file.enum_type {
        for value in &group.value {
            writeln!(out, "enum {} {} = {}", group.name(), value.name(), value.number()).unwrap();
        }
    }
    out
}

fn describe_message(message: &DescriptorProto, name: &str, out: &mut String) {
    for field in &message.field {
        let label = match (field.label(), field.proto3_optional(), field.oneof_index) {
            (Label::Repeated, ..) => "repeated ",
            (_, true, _) => "optional ",
            (_, false, Some(_)) => "one of ",
            _ => "",
        };
        let kind = match field.r#type() {
            Type::Message | Type::Enum => field.type_name().to_owned(),
            kind => kind.as_str_name().trim_start_matches("TYPE_").to_ascii_lowercase(),
        };
        writeln!(out, "field {name} {} = {label}{kind} {}", field.number(), field.name()).unwrap();
    }
    for nested in &message.nested_type {
        describe_message(nested, &format!("{name}.{}", nested.name()), out);
    }
}
