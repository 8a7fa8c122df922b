//! What the fields of the pages let browsers and their owners do.

use regex::Regex;

use super::*;

/// Every field that somebody types into, and the page that it is on.
fn typed(words: Words) -> Vec<(String, String)> {
    let field = Regex::new("<input [^>]*>").unwrap();
    let mut fields = Vec::new();
    for (name, html) in all(words) {
        let on_it = field.find_iter(&html).map(|tag| tag.as_str().to_owned());
        let typed =
            on_it.filter(|tag| !tag.contains("type=\"hidden\"") && !tag.contains("type=\"checkbox\""));
        fields.extend(typed.map(|tag| (name.clone(), tag)));
    }
    fields
}

#[test]
fn a_field_for_a_password_hides_it_and_managers_know_what_belongs_where() {
    let mut seen = std::collections::BTreeSet::new();
    for (page, field) in typed(Words::ALL[0]) {
        let has = |attribute: &str| field.contains(attribute);
        let filled = if has("name=\"password\"") {
            assert!(has("maxlength=\"1024\""), "{page}: {field}");
            seen.insert("password");
            "current-password"
        } else if has("name=\"login\"") {
            seen.insert("login");
            "username"
        } else if has("name=\"code\"") && page != "code-recovery" {
            seen.insert("code");
            "one-time-code"
        } else {
            continue;
        };
        let kind = if filled == "current-password" { "password" } else { "text" };
        assert!(has(&format!(" type=\"{kind}\"")), "{page}: {field}");
        assert!(has(&format!(" autocomplete=\"{filled}\"")), "{page}: {field}");
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[test]
fn nothing_hinders_pasting_and_no_page_needs_what_browsers_have_given_up() {
    let handler = Regex::new(r" on[a-z]+=").unwrap();
    let given_up = ["applet", "object", "embed", "frame", "iframe", "frameset", "marquee", "blink"];
    for (name, html) in all(Words::ALL[0]) {
        assert!(!handler.is_match(&html.replace("onerror=alert(1)", "")), "{name}");
        for tag in given_up {
            assert!(
                !html.contains(&format!("<{tag} ")) && !html.contains(&format!("<{tag}>")),
                "{name}: {tag}"
            );
        }
    }
    for (name, field) in typed(Words::ALL[0]) {
        assert!(!field.contains("readonly") && !field.contains("disabled"), "{name}: {field}");
    }
    for script in assets::ALL.iter().filter(|asset| asset.name.ends_with(".js")) {
        let text = std::str::from_utf8(script.content).unwrap();
        let events: Vec<_> =
            text.split("addEventListener(\"").skip(1).map(|rest| rest.split('"').next()).collect();
        let listens = events.iter().all(|event| matches!(event, Some("click" | "submit")));
        assert!(listens && !events.is_empty(), "{}: {events:?}", script.name);
    }
}
