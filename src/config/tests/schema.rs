//! The JSON schema against the file's reader and its reference.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Value, json};

use super::super::reference::Reference;
use super::*;

#[test]
fn what_the_reader_takes_is_valid_and_what_it_refuses_is_not() {
    let schema = schema();
    for good in [REFERENCE, SHORTEST] {
        assert_eq!(faults(&schema, &as_json(good)), [] as [String; 0]);
    }
    for (from, to) in [
        ("tls = \"implicit\"", "tls = \"implict\""),
        ("hostname = \"mail.example.org\"", "hostname = \"mail_server\""),
        ("hostname = ", "hostnam = "),
        ("hostname = \"mail.example.org\"", "hostname = 1"),
        ("protocol = \"imap\"", "protocol = \"http\""),
        ("address = \"[::]:993\"", "address = \"mail.example.org\""),
        ("address = [\"10.0.0.5:143\"]", "address = []"),
        ("address = [\"10.0.0.5:143\"]", "address = [\"10.0.0.5\"]"),
        ("name = \"legacy\"", "name = \"the old one\""),
        ("name = \"legacy\"", "name = \"legacy\"\nrefresh = \"10\""),
        ("name = \"legacy\"", "name = \"legacy\"\ncredential = \"open\""),
        ("[[listener]]", "[limits]\nconnections = 0\n[[listener]]"),
        ("[[listener]]", "[limits]\nper_network = { burst = 1 }\n[[listener]]"),
        ("[[listener]]", "[policy]\nfactors = [\"sms\"]\n[[listener]]"),
        ("[[listener]]", "[policy.\"example.org\"]\nsecond = 1\n[[listener]]"),
        ("[[listener]]", "[portal]\npublic_url = \"mail.example.org\"\n[[listener]]"),
        ("[[listener]]", "[metrcs]\n[[listener]]"),
    ] {
        let text = SHORTEST.replacen(from, to, 1);
        assert!(Config::parse(&text, Path::new("m.toml")).is_err(), "the reader takes {to}");
        assert!(!faults(&schema, &as_json(&text)).is_empty(), "the schema takes {to}");
    }
}

#[test]
fn every_key_of_the_schema_is_described_and_every_described_key_is_in_the_schema() {
    let mut undescribed = vec![];
    let mut keys = BTreeSet::new();
    walk(&schema(), "", &mut |path, schema| {
        keys.insert(path.to_owned());
        let is_section = schema["properties"].is_object() || schema["items"]["properties"].is_object();
        if !is_section && schema["description"].as_str().is_none_or(str::is_empty) {
            undescribed.push(path.to_owned());
        }
    });
    // They are told of with the pair.
    undescribed.retain(|path| !path.ends_with(".burst") && !path.ends_with(".per"));
    assert_eq!(undescribed, [] as [String; 0]);
    for entry in Reference::read().entries {
        let section = if entry.section.starts_with("policy.") { "policy" } else { &entry.section };
        let path = entry.key.map_or_else(|| section.to_owned(), |key| format!("{section}.{key}"));
        assert!(keys.contains(&path), "`{path}` is not in the schema");
    }
}

#[test]
fn the_schema_knows_the_sections_and_the_defaults() {
    let schema = schema();
    let sections: BTreeSet<_> =
        schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(sections, SECTIONS.into_iter().collect());
    let default = |section: &str, key: &str| {
        let section = &schema["properties"][section];
        let of = if section["items"].is_object() { &section["items"] } else { section };
        of["properties"][key]["default"].clone()
    };
    assert_eq!(default("limits", "idle"), "35m");
    assert_eq!(default("limits", "per_network"), json!({ "burst": 20, "per": "10m" }));
    assert_eq!(default("upstream", "connect_deadline"), "5s");
    assert_eq!(default("upstream", "sub_address_delimiter"), "+");
    assert_eq!(default("audit", "when_full"), "refuse");
    assert_eq!(default("server", "data_dir"), "/var/lib/mailward");
}

/// Calls `found` with every key, dotted, and its schema.
pub(super) fn walk(schema: &Value, path: &str, found: &mut dyn FnMut(&str, &Value)) {
    let of_each = if schema["items"].is_object() { &schema["items"] } else { schema };
    for (key, schema) in of_each["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        found(&path, schema);
        walk(schema, &path, found);
    }
}

fn as_json(text: &str) -> Value {
    let mut value = serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap();
    dates_as_text(&mut value);
    value
}

/// `toml` shows dates to serde in a wrapping of its own.
fn dates_as_text(value: &mut Value) {
    match value {
        Value::Object(fields) => match fields.get("$__toml_private_datetime") {
            Some(date) => *value = date.clone(),
            None => fields.values_mut().for_each(dates_as_text),
        },
        Value::Array(items) => items.iter_mut().for_each(dates_as_text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What is wrong with `value`. Knows the words that the schema uses, and no others.
fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let Value::Object(words) = schema else { panic!("a schema of another kind: {schema}") };
    let mut faults = vec![];
    for (word, rule) in words {
        let fits = match word.as_str() {
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64() || value.is_u64(),
                other => panic!("type `{other}`"),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "const" => rule == value,
            "minimum" => value.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap()),
            "maximum" => value.as_i64().is_none_or(|number| number <= rule.as_i64().unwrap()),
            "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
            "maxLength" => value.as_str().is_none_or(|text| text.len() as u64 <= rule.as_u64().unwrap()),
            "pattern" => {
                let pattern = Regex::new(rule.as_str().unwrap()).unwrap();
                value.as_str().is_none_or(|text| pattern.is_match(text))
            }
            "oneOf" => {
                let taken =
                    rule.as_array().unwrap().iter().filter(|rule| self::faults(rule, value).is_empty());
                taken.count() == 1
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|rule| self::faults(rule, value).is_empty()),
            "required" => value.as_object().is_none_or(|fields| {
                rule.as_array().unwrap().iter().all(|key| fields.contains_key(key.as_str().unwrap()))
            }),
            "items" => {
                faults
                    .extend(value.as_array().into_iter().flatten().flat_map(|item| self::faults(rule, item)));
                true
            }
            "properties" | "additionalProperties" => {
                let known = &schema["properties"];
                for (key, inner) in value.as_object().into_iter().flatten() {
                    match (known.get(key), word.as_str()) {
                        (Some(rule), "properties") => faults.extend(self::faults(rule, inner)),
                        (None, "additionalProperties") if rule == &json!(false) => {
                            faults.push(format!("unknown key `{key}`"));
                        }
                        (None, "additionalProperties") => faults.extend(self::faults(rule, inner)),
                        _ => {}
                    }
                }
                true
            }
            "$schema" | "title" | "description" | "default" | "format" => true,
            other => panic!("the word `{other}` is not known here"),
        };
        if !fits {
            faults.push(format!("{value} breaks `{word}`: {rule}"));
        }
    }
    faults
}
