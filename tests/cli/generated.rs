//! What is generated from the program: pages, completions, schema. A page that has drifted fails its test;
//! `MAILWARD_BLESS=1 cargo nextest run --test cli generated` writes it anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use mailward::config::reference::{Entry, Piece, Reference};
use mailward::config::schema;
use mailward::telemetry::table::{Kind, METRICS, Metric};
use serde_json::Value;
use tempfile::TempDir;

use super::site::run;

#[test]
fn the_page_of_all_settings_says_what_reference_and_types_say() {
    is_as_generated("docs/admin/configuration.md", &configuration_page());
}

#[test]
fn the_page_of_metrics_has_each_of_them() {
    is_as_generated("docs/admin/metrics.md", &metrics_page());
}

#[test]
fn dashboard_and_alerts_ask_for_metrics_that_there_are() {
    let named = |text: &str| {
        let words = text.split(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_'));
        let ours = words.filter(|word| word.starts_with("mailward_") || word.starts_with("process_"));
        ours.map(str::to_owned).collect::<Vec<_>>()
    };
    let read = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let dashboard: Value = serde_json::from_str(&read("docs/admin/grafana/mailward.json")).unwrap();
    let mut questions = vec![];
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().into_iter().flatten();
        questions.extend(targets.map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    assert!(questions.len() > 15, "{questions:?}");
    questions.extend(read("docs/admin/grafana/alerts.yaml").lines().map(str::to_owned));
    let mut unseen: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
    for name in questions.iter().flat_map(|question| named(question)) {
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|ending| name.strip_suffix(ending));
        let known = |metric: &&Metric| {
            metric.name == name || (metric.kind == Kind::Histogram && Some(metric.name) == of_histogram)
        };
        let metric = METRICS.iter().find(known).unwrap_or_else(|| panic!("there is no `{name}`"));
        unseen.retain(|other| *other != metric.name);
    }
    // What is there for a closer look.
    unseen.retain(|name| !["mailward_audit_syncs_total", "mailward_audit_records_total"].contains(name));
    assert_eq!(unseen, [] as [&str; 0], "on no panel");
}

#[test]
fn the_schema_is_printed_as_json_without_any_configuration() {
    let printed = run(&["--config", "/nowhere", "config", "schema"], "").succeeded();
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), schema());
}

#[test]
fn each_shell_gets_completions_that_know_commands_and_flags() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell], "").succeeded();
        for word in ["app-password", "mailbox-password-stdin", "completions"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        assert!(!script.contains("audit export"), "{shell}: not built");
    }
    run(&["completions", "tcsh"], "").failed(2, "error: invalid value 'tcsh'");
}

#[test]
fn the_manual_has_a_page_for_each_command_that_man_can_read() {
    let page = run(&["man"], "").succeeded();
    assert!(page.contains(".TH mailward 1") && page.contains("app\\-password"), "{page}");
    let folder = TempDir::new().unwrap();
    let pages = folder.path().join("man1");
    assert_eq!(run(&["man", "--out", pages.to_str().unwrap()], "").succeeded(), "");
    for name in ["mailward", "mailward-serve", "mailward-audit-search", "mailward-app-password-create"] {
        let page = fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
    }
    // What is not built has no page.
    assert!(!pages.join("mailward-token.1").exists());
}

/// Compares a file of the repository with what it should hold, or writes that where it was asked to.
#[track_caller]
pub(crate) fn is_as_generated(path: &str, wanted: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("MAILWARD_BLESS").is_some() {
        fs::write(&file, wanted).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    let differing = found.lines().zip(wanted.lines()).position(|(found, wanted)| found != wanted);
    assert!(
        found == wanted,
        "`{path}` has drifted, first in line {}: write it anew with MAILWARD_BLESS=1",
        1 + differing.unwrap_or_else(|| found.lines().count().min(wanted.lines().count()))
    );
}

fn metrics_page() -> String {
    let mut page = String::from(
        "# Metrics and health\n\nWith a `[metrics]` section the gate answers over HTTP on an address of its own, `127.0.0.1:9464` by \
         default. There is no password: let only those reach it who watch.\n\n\
         | path | says |\n|---|---|\n\
         | `/metrics` | the numbers below, for Prometheus |\n\
         | `/healthz` | 200 while the process answers: restart it when it does not |\n\
         | `/readyz` | 200 while this node can let people in, else 503; why not stands in `reasons`: it drains, the database does \
         not answer, the audit trail cannot be written. For a balancer, which then sends clients to another node. An upstream that \
         is down is in `upstreams_down` and does not count, because it is down for all nodes: clients hear *come again later* \
         from any |\n\n\
         [`grafana/mailward.json`](grafana/mailward.json) is a dashboard to import, [`grafana/alerts.yaml`](grafana/alerts.yaml) holds \
         rules to begin with. Counters begin at 0 when the gate starts. No label can be chosen by who connects, and none is \
         an account: for who it was, ask `mailward audit search`.\n\n\
         <!-- Generated from src/telemetry/table.rs: change that, then run\n     \
         MAILWARD_BLESS=1 cargo nextest run --test cli generated -->\n\n\
         | metric | kind | labels | says |\n|---|---|---|---|\n",
    );
    for Metric { name, kind, labels, help } in METRICS {
        let labels: Vec<_> = labels.iter().map(|(name, values)| format!("`{name}`: {values}")).collect();
        writeln!(page, "| `{name}` | {} | {} | {help} |", kind.as_str(), labels.join("; ")).unwrap();
    }
    page
}

fn configuration_page() -> String {
    let (reference, schema) = (Reference::read(), schema());
    let mut page = String::from(
        "# Configuration\n\nOne TOML file, `/etc/mailward/mailward.toml` unless `--config` or `MAILWARD_CONFIG` names another. \
         `mailward config check` names every mistake with its line; `mailward config show` prints what is in force; \
         `mailward config schema` prints the JSON schema for editors.\n\n\
         <!-- Generated from config/mailward.toml and the types behind it: change those, then run\n     \
         MAILWARD_BLESS=1 cargo nextest run --test cli generated -->\n",
    );
    let mut chapter = "";
    let mut entries = reference.entries.iter().peekable();
    while let Some(entry) = entries.next() {
        if entry.chapter != chapter {
            chapter = &entry.chapter;
            write!(page, "\n## {chapter}\n").unwrap();
        }
        let Some(key) = &entry.key else {
            write!(page, "\n### `{}`\n{}", entry.line, prose(&entry.text)).unwrap();
            continue;
        };
        if entry.text.is_empty() {
            continue; // the list over its section tells of it
        }
        let (mut names, mut lines) = (format!("`{key}`"), entry.line.clone());
        let mut defaults: Vec<_> = default_of(&schema, entry).into_iter().collect();
        while let Some(next) = entries.next_if(|next| next.key.is_some() && next.text == entry.text) {
            write!(names, ", `{}`", next.key.as_deref().unwrap()).unwrap();
            write!(lines, "\n{}", next.line).unwrap();
            defaults.extend(default_of(&schema, next));
        }
        write!(page, "\n#### {names}\n\n```toml\n{lines}\n```\n{}", prose(&entry.text)).unwrap();
        match defaults.as_slice() {
            [] => {}
            [(_, value)] => write!(page, "\nDefault: `{value}`\n").unwrap(),
            several => {
                let each: Vec<_> = several.iter().map(|(key, value)| format!("`{key} = {value}`")).collect();
                write!(page, "\nDefaults: {}\n", each.join(", ")).unwrap();
            }
        }
    }
    page
}

fn prose(text: &[Piece]) -> String {
    let mut prose = String::new();
    let mut in_list = false;
    for piece in text {
        match piece {
            Piece::Paragraph(text) => write!(prose, "\n{}\n", plain(text)).unwrap(),
            Piece::Choice { name, meaning } => {
                let gap = if in_list { "" } else { "\n" };
                writeln!(prose, "{gap}- `{name}`: {}", plain(meaning)).unwrap();
            }
        }
        in_list = matches!(piece, Piece::Choice { .. });
    }
    prose
}

/// `*` stands for itself.
fn plain(text: &str) -> String {
    let mut ticks = false;
    let each = text.chars().flat_map(|sign| {
        ticks ^= sign == '`';
        let escaped = !ticks && matches!(sign, '*' | '_' | '<');
        escaped.then_some('\\').into_iter().chain([sign])
    });
    each.collect()
}

/// What the types say of a default, where the words do not tell of it already.
fn default_of(schema: &Value, entry: &Entry) -> Option<(String, String)> {
    let mut words = entry.text.iter().map(|piece| match piece {
        Piece::Paragraph(text) | Piece::Choice { meaning: text, .. } => text.as_str(),
    });
    if words.any(|text| text.contains("Default: ") || text.contains("Required.")) {
        return None;
    }
    let key = entry.key.clone()?;
    let mut section = schema.clone();
    for name in entry.section.split('.') {
        let next = section["properties"][name].take();
        section = if next["items"].is_object() { next["items"].clone() } else { next };
    }
    let default = match &section["properties"][&key]["default"] {
        Value::Null => return None,
        Value::Object(fields) => {
            let fields: Vec<_> = fields.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => other.to_string(),
    };
    Some((key, default))
}
