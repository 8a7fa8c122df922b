//! The JSON schema of the configuration file, for editors and for whoever generates configurations.
//!
//! Which keys there are, of which type and with which default, is asked of the raw forms; what they mean, of the
//! reference. It knows less than `config check`: what stands in relation to something else is not in it.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::audit::RawAudit;
use super::count::Count;
use super::database::RawDatabase;
use super::domain::{DomainText, PatternText};
use super::duration::DurationText;
use super::endpoint::{HostPort, Pins};
use super::limits::RawLimits;
use super::listener::RawListener;
use super::login::LoginRewrite;
use super::mail::RawMail;
use super::master::MasterStyle;
use super::metrics::RawMetrics;
use super::networks::Networks;
use super::policy::{FactorKind, RawPolicy};
use super::portal::RawPortal;
use super::reference::Reference;
use super::server::RawServer;
use super::size::SizeText;
use super::sub_address::SubAddressDelimiter;
use super::tls::RawCertificate;
use super::upstream::RawUpstream;
use crate::base::Protocol;

/// The schema (draft 2020-12), as JSON.
#[must_use]
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true).into_generator();
    let mut sections = Map::new();
    let mut add = |name: &str, schema: Value| drop(sections.insert(name.to_owned(), schema));
    add("server", section::<RawServer>(&mut generator));
    add("database", section::<RawDatabase>(&mut generator));
    add(
        "tls",
        object(&json!({ "certificate": list(&section::<RawCertificate>(&mut generator)) }), &["certificate"]),
    );
    add("listener", list(&section::<RawListener>(&mut generator)));
    add("upstream", list(&section::<RawUpstream>(&mut generator)));
    add("policy", policy(section::<RawPolicy>(&mut generator)));
    add("limits", section::<RawLimits>(&mut generator));
    add("portal", section::<RawPortal>(&mut generator));
    add("mail", section::<RawMail>(&mut generator));
    add("audit", section::<RawAudit>(&mut generator));
    add("metrics", section::<RawMetrics>(&mut generator));
    describe(&mut sections);
    let mut schema = object(&Value::Object(sections), &["server", "tls", "listener", "upstream"]);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        schema.insert("title".into(), "mailward.toml".into());
    }
    schema
}

fn section<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    let mut schema = generator.subschema_for::<T>().to_value();
    forbid_null(&mut schema);
    schema
}

fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items, "minItems": 1 })
}

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// Whatever is no key of `[policy]` is a domain with rules of its own.
fn policy(rules: Value) -> Value {
    let mut policy = rules.clone();
    if let Some(policy) = policy.as_object_mut() {
        policy.insert("additionalProperties".into(), rules);
    }
    policy
}

/// TOML has no null: what may be left out is left out.
fn forbid_null(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("default") == Some(&Value::Null) {
                fields.remove("default");
            }
            if let Some(Value::Array(types)) = fields.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    fields.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(variants)) = fields.get_mut("anyOf") {
                variants.retain(|variant| variant["type"] != "null");
                if let [Value::Object(only)] = variants.as_mut_slice() {
                    let only = std::mem::take(only);
                    fields.remove("anyOf");
                    fields.extend(only);
                }
            }
            if let Some(Value::Array(values)) = fields.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            fields.values_mut().for_each(forbid_null);
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Puts the words of the reference to every key.
fn describe(sections: &mut Map<String, Value>) {
    let reference = Reference::read();
    for (name, schema) in sections {
        if name == "tls" {
            let certificate = &mut schema["properties"]["certificate"]["items"];
            describe_keys(certificate, &reference, "tls.certificate");
        } else {
            let of_each = if schema.get("items").is_some() { &mut schema["items"] } else { schema };
            describe_keys(of_each, &reference, name);
        }
    }
}

fn describe_keys(schema: &mut Value, reference: &Reference, section: &str) {
    if let Some(others) = schema.get_mut("additionalProperties").filter(|others| others.is_object()) {
        describe_keys(others, reference, section);
    }
    let Some(keys) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (key, schema) in keys {
        let inner = format!("{section}.{key}");
        let is_section = reference.entries.iter().any(|entry| entry.section == inner);
        if is_section {
            describe_keys(schema, reference, &inner);
            continue;
        }
        if let Some(text) = reference.describe(section, key) {
            schema["description"] = text.into();
        }
        let Some(parts) = schema.get_mut("properties").and_then(Value::as_object_mut) else { continue };
        for (part, schema) in parts {
            if let Some(text) = reference.describe_within(section, key, part) {
                schema["description"] = text.into();
            }
        }
    }
}

/// How a type is written in the file, where that is not what it is made of.
macro_rules! written_as {
    ($($type:ty: $schema:tt,)*) => {
        $(impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        })*
    };
}

/// A host name, see [`super::server::is_hostname`].
pub(super) struct HostName;

/// An IP address and a port.
pub(super) struct SocketAddress;

/// The name of an upstream.
pub(super) struct Name;

/// A date without a time.
pub(super) struct Day;

/// Where the portal is.
pub(super) struct Url;

written_as! {
    HostName: { "type": "string", "pattern": "^[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)*$", "maxLength": 253 },
    SocketAddress: { "type": "string", "pattern": "^(\\[[0-9A-Fa-f:.]+\\]|[0-9.]+):[0-9]+$" },
    Name: { "type": "string", "pattern": "^[A-Za-z0-9_.-]+$", "maxLength": 64 },
    Day: { "type": "string", "format": "date" },
    Url: { "type": "string", "pattern": "^https?://.+" },
    HostPort: { "type": "string", "pattern": "^(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9.-]+):[0-9]+$" },
    Pins: { "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }] },
    Count: { "type": "integer", "minimum": 1, "maximum": 4_294_967_295_u32 },
    SizeText: { "type": "string", "pattern": "^(0|[0-9]+ *(B|KiB|MiB|GiB|TiB))$" },
    DurationText: { "type": "string", "pattern": "^(0|[0-9]+ *(ms|s|m|h|d|w))$" },
    Networks: { "type": "array", "items": { "type": "string" } },
    LoginRewrite: { "type": "string" },
    MasterStyle: { "type": "string", "pattern": "^(separator:.|authzid)$" },
    SubAddressDelimiter: { "type": "string" },
    DomainText: { "type": "string" },
    PatternText: { "type": "string" },
    Protocol: { "enum": Protocol::ALL.map(Protocol::as_str) },
    FactorKind: { "enum": FactorKind::ALL.map(FactorKind::as_str) },
}
