//! A browser without pictures: what people do at the portal, done by curl.

use std::path::Path;

use regex::Regex;
use tempfile::TempDir;

use super::run::{Outcome, run};

/// One that keeps cookies, until dropped.
pub(crate) struct Visitor {
    portal: String,
    directory: TempDir,
}

impl Visitor {
    /// Before the portal at that URL, signed in nowhere.
    pub(crate) fn before(portal: &str) -> Self {
        Self { portal: portal.to_owned(), directory: TempDir::new().expect("a temporary directory") }
    }

    /// The portal that it stands before.
    pub(crate) fn portal(&self) -> &str {
        &self.portal
    }

    /// Where it may keep what it fetches.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Gets a page; `more` are further arguments of curl's.
    pub(crate) fn ask(&self, path: &str, more: &[&str]) -> Outcome {
        let jar = self.directory.path().join("cookies").display().to_string();
        let origin = format!("Origin: {}", self.portal);
        let url = format!("{}{path}", self.portal);
        let always =
            ["--silent", "--show-error", "--fail", "--insecure", "--retry-connrefused", "--retry", "20"];
        let cookies = ["--cookie", &jar, "--cookie-jar", &jar, "--header", &origin];
        run("curl", &[&always[..], &cookies, more, &[&url]].concat(), "")
    }

    /// Sends a form.
    pub(crate) fn post(&self, path: &str, fields: &[(&str, &str)]) -> Outcome {
        let fields = data(fields);
        self.ask(path, &fields.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// What a page's form has to bring back of that field, which nobody sees.
    pub(crate) fn hidden(page: &str, name: &str) -> String {
        first(page, &format!(r#"name="{name}" value="([^"]+)""#))
    }
}

/// Fields of a form, as curl's arguments.
pub(crate) fn data(fields: &[(&str, &str)]) -> Vec<String> {
    let fields = fields.iter();
    fields.flat_map(|(name, value)| ["--data-urlencode".to_owned(), format!("{name}={value}")]).collect()
}

/// What the group in `pattern` matches first.
pub(crate) fn first(text: &str, pattern: &str) -> String {
    let found = Regex::new(pattern).expect("a pattern").captures(text).map(|found| found[1].to_owned());
    found.unwrap_or_else(|| panic!("no `{pattern}` in {text}"))
}
