//! `[policy]`: what is offered and recommended, what authenticators are told, whom users may ask.

use super::*;
use crate::base::{Language, Timestamp};

fn rules(more: &str) -> Policy {
    parse(&format!("{SHORTEST}[policy]\n{more}\n")).policies.default
}

#[test]
fn what_is_recommended_is_offered_and_comes_first() {
    let kinds = |policy: &Policy| policy.offered().collect::<Vec<_>>();
    assert_eq!(kinds(&rules("factors = [\"totp\"]")), [(FactorKind::Totp, false)]);
    let some = rules("factors = [\"totp\"]\nrecommended = [\"totp\"]");
    assert_eq!(kinds(&some), [(FactorKind::Totp, true)]);
    let told = problem_with("[policy]\nrecommended = [\"sms\"]");
    assert!(
        told.starts_with("line 16: `recommended` in `[policy]`: the second factor `sms` is not built"),
        "{told}"
    );
}

#[test]
fn authenticators_are_told_what_the_file_says_within_reason() {
    assert_eq!(rules("").totp, TotpParameters::USUAL);
    let own = rules("totp_period = \"1m\"\ntotp_digits = 8");
    assert_eq!(own.totp, TotpParameters { period: 60, digits: 8 });
    for (bad, expected) in [
        ("totp_period = \"14s\"", "`totp_period` in `[policy]`: is out of range"),
        ("totp_period = \"121s\"", "`totp_period` in `[policy]`: is out of range"),
        ("totp_period = \"30500ms\"", "`totp_period` in `[policy]`: is out of range"),
        ("totp_digits = 5", "`totp_digits` in `[policy]`: is out of range"),
        ("totp_digits = 9", "`totp_digits` in `[policy]`: is out of range"),
        ("totp_digits = -6", "`totp_digits` in `[policy]`: is out of range"),
    ] {
        let told = problem_with(&format!("[policy]\n{bad}"));
        assert!(told.starts_with(&format!("line 16: {expected}")), "{bad}: {told}");
    }
}

#[test]
fn help_is_of_a_domain_or_of_all_and_nothing_is_nothing() {
    let config = parse(&format!(
        "{SHORTEST}[policy]\nhelp_zh = \" 请联系\\n信息中心 \"\ncontact = \"it@example.org\"\n\
         [policy.\"example.org\"]\nhelp_en = \"Ask\"\ncontact = \"\"\n"
    ));
    let all = &config.policies.default.help;
    assert_eq!(all.text(Language::English), Some("请联系\n信息中心"));
    assert_eq!(all.contact.as_ref().map(Contact::link), Some("mailto:it@example.org"));
    let own = &config.policies.of("example.org").help;
    assert_eq!((own.text(Language::English), &own.contact), (Some("Ask"), &None));
    assert_eq!(own.text(Language::Chinese), Some("请联系\n信息中心"));
    for (bad, expected) in [
        (
            "contact = \"javascript:alert(1)\"",
            "`contact` in `[policy]`: `javascript:alert(1)` is neither a mail address",
        ),
        ("help_en = \"a\\u0007b\"", "`help_en` in `[policy]`: holds a control character"),
        (
            &*format!("help_en = \"{}\"", "长".repeat(601)),
            "`help_en` in `[policy]`: is longer than 600 characters",
        ),
    ] {
        let told = problem_with(&format!("[policy]\n{bad}"));
        assert!(told.starts_with(&format!("line 16: {expected}")), "{bad}: {told}");
    }
}

#[test]
fn what_is_shown_reads_as_the_same_rules() {
    let text = "second_factor = \"required\"\nrequired_since = 2027-01-01\nrecommended = [\"totp\"]\ntotp_period = \"60s\"\n\
                totp_digits = 7\nenrol_by = \"link\"\napp_passwords_without_factor = \"keep\"\nhelp_zh = \"一\\n二\"\n\
                contact = \"tel:+86-10-12345678\"\n[policy.\"example.org\"]\ncontact = \"\"";
    let config = parse(&format!("{SHORTEST}[policy]\n{text}\n"));
    let again = parse(&show::to_toml(&config).unwrap());
    assert_eq!(format!("{:?}", again.policies), format!("{:?}", config.policies));
}

#[test]
fn a_grace_that_begins_on_no_day_is_a_mistake_and_none_is_shown() {
    let grace = "grace_period = \"14d\"";
    for bad in [
        format!("[policy]\nsecond_factor = \"required\"\n{grace}\n"),
        format!("[policy]\n{grace}\n[policy.\"example.org\"]\nsecond_factor = \"required\"\n"),
        format!("[policy]\nsecond_factor = \"required\"\n[policy.\"example.org\"]\n{grace}\n"),
    ] {
        let told = problem_with(&bad);
        assert!(told.contains("`grace_period` without `required_since` is no grace"), "{bad}: {told}");
    }
    let day = "required_since = 2027-01-01";
    for good in [
        format!("second_factor = \"optional\"\n{grace}"),
        format!("second_factor = \"optional\"\n{day}\n{grace}"),
        format!("second_factor = \"required\"\n{day}\n{grace}"),
        "second_factor = \"required\"\ngrace_period = \"0\"".to_owned(),
    ] {
        rules(&good);
    }
    let at_once = rules("second_factor = \"required\"");
    assert_eq!(at_once.second_factor, Requirement::at_once());
    let shown = show::rules_to_toml(&at_once).unwrap();
    assert!(!shown.contains("required_since") && !shown.contains("grace_period"), "{shown}");
}

#[test]
fn app_passwords_rest_once_the_grace_is_over_unless_they_are_kept() {
    let since = |text: &str| Timestamp::parse(text).unwrap();
    let required = rules("second_factor = \"required\"\nrequired_since = 2027-01-01\ngrace_period = \"1d\"");
    assert!(!required.app_passwords_rest(false, since("2027-01-01T23:59:59Z")));
    assert!(required.app_passwords_rest(false, since("2027-01-02T00:00:00Z")));
    assert!(required.app_passwords_rest(true, since("2026-01-01T00:00:00Z")), "it had a factor before");
    let kept = Policy { app_passwords_without_factor: WithoutFactor::Keep, ..required };
    assert!(!kept.app_passwords_rest(true, since("2028-01-01T00:00:00Z")));
    assert!(!rules("").app_passwords_rest(false, since("2028-01-01T00:00:00Z")));
}
