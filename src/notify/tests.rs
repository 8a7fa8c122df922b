//! What users read.

use lettre::message::Mailbox;

use super::*;

fn sender() -> Sender {
    Sender { hostname: "mail.example.org".to_owned(), portal: Some("https://mail.example.org".to_owned()) }
}

fn told(notice: Notice) -> Told {
    Told { at: Timestamp::from_unix_seconds(1_800_000_000), notice }
}

fn place(browser: &str) -> Place {
    Place { address: "192.0.2.7".to_owned(), browser: Some(browser.to_owned()) }
}

fn created(name: &str) -> Notice {
    let by = Doer::Owner(place("Firefox"));
    Notice::AppPasswordCreated { name: name.to_owned(), label: "k7mq".to_owned(), read_only: false, by }
}

fn bytes_of(letter: &Letter) -> String {
    let from: Mailbox = "邮件系统 <postmaster@example.org>".parse().unwrap();
    let at = Timestamp::from_unix_seconds(1_800_000_000);
    let message = message(letter, &from, "alice@example.org", "1@mail.example.org", at).unwrap();
    String::from_utf8(message.formatted()).expect("ASCII")
}

#[test]
fn a_notice_reads_well_in_both_languages() {
    let letter = sender().letter("alice@example.org", &told(created("我的手机")));
    assert_eq!(letter.subject, "已生成客户端专用密码 / New app password");
    let expected = "\
您的邮箱生成了一个新的客户端专用密码。

    帐号: alice@example.org
    时间: 2027-01-15 16:00（北京时间）
    名称: 我的手机 (k7mq)
    IP 地址: 192.0.2.7
    浏览器: Firefox

如果是您本人的操作，无需理会本邮件。

如果不是您本人的操作，请立即修改邮箱密码，再到 https://mail.example.org 检查您的安全设置，并联系邮件系统管理员。

本邮件由 mail.example.org 自动发出，请勿回复。我们不会在邮件中向您索取密码或验证码。

----------------------------------------

A new app password was made for your mailbox.

    Account: alice@example.org
    Time: 2027-01-15 08:00 UTC
    Name: 我的手机 (k7mq)
    IP address: 192.0.2.7
    Browser: Firefox

If this was you, there is nothing to do.

If it was not you, change your mailbox password now, look through your security settings at https://mail.example.org, and tell the administrator of your mail system.

This message was sent by mail.example.org automatically; nobody reads replies. No message of ours ever asks for a password or a code.
";
    assert_eq!(letter.text, expected);
    for fact in ["<h1", "lang=\"zh-CN\"", "lang=\"en\"", "<bdi>我的手机 (k7mq)</bdi>"] {
        assert!(letter.html.contains(fact), "{fact}");
    }
}

#[test]
fn each_kind_has_words_and_comes_back_from_the_outbox_as_it_went() {
    let by = || Doer::Owner(place("Firefox"));
    let all = [
        Notice::FactorBound { factor: "totp".to_owned(), by: by() },
        Notice::FactorReplaced { factor: "passkey".to_owned(), by: by() },
        Notice::FactorUnbound {
            factors: vec!["totp".to_owned()],
            app_passwords_revoked: 2,
            reason: Some("手机丢了 lost phone".to_owned()),
            by: Doer::Administrator,
        },
        created("Phone"),
        Notice::AppPasswordCreated {
            name: "Archive".to_owned(),
            label: "m4xt".to_owned(),
            read_only: true,
            by: by(),
        },
        Notice::AppPasswordsRevoked { which: vec![("Phone".to_owned(), "k7mq".to_owned())], by: by() },
        Notice::RecoveryCodesMade { by: by() },
        Notice::NewBrowser { place: place("Firefox") },
        Notice::SecondFactorNotCompleted { place: place("Firefox") },
    ];
    for notice in all {
        let told = told(notice);
        let json = serde_json::to_string(&told).unwrap();
        assert_eq!(serde_json::from_str::<Told>(&json).unwrap(), told);
        assert!(json.contains(&format!("\"kind\":\"{}\"", told.notice.kind())), "{json}");
        let letter = sender().letter("alice@example.org", &told);
        assert!(letter.subject.contains(" / ") && letter.text.contains("Time: 2027-01-15 08:00 UTC"));
        let by_administrator = matches!(told.notice, Notice::FactorUnbound { .. });
        assert_eq!(letter.text.contains("操作者: 管理员"), by_administrator, "{}", letter.text);
        assert_eq!(letter.text.contains("Reason: 手机丢了 lost phone"), by_administrator);
    }
}

#[test]
fn the_owner_hears_whether_a_new_app_password_may_do_more_than_read() {
    for read_only in [false, true] {
        let mut notice = created("Archive");
        let Notice::AppPasswordCreated { read_only: told_so, .. } = &mut notice else { unreachable!() };
        *told_so = read_only;
        let text = sender().letter("alice@example.org", &told(notice)).text;
        for words in ["该密码为只读，", "It may only read: "] {
            assert_eq!(text.contains(words), read_only, "{text}");
        }
    }
    // As it was written down before there were any.
    let before = r#"{"kind":"app_password_created","name":"Phone","label":"k7mq","by":"administrator"}"#;
    let notice: Notice = serde_json::from_str(before).unwrap();
    assert!(matches!(notice, Notice::AppPasswordCreated { read_only: false, .. }));
}

#[test]
fn a_hostile_name_is_a_name_and_nothing_else() {
    let name = "x\r\nBcc: eve@example.net\r\n\r\n<script>alert(1)</script>\u{202e}gpj.exe\u{200b}&\"'";
    let letter = sender().letter("alice@example.org", &told(created(name)));
    let shown = "Name: x\\u{d}\\u{a}Bcc: eve@example.net\\u{d}\\u{a}\\u{d}\\u{a}<script>alert(1)</script>\\u{202e}gpj.exe\\u{200b}&\"' (k7mq)";
    assert!(letter.text.contains(shown), "{}", letter.text);
    assert!(
        !letter.html.contains("<script") && letter.html.contains("&lt;script&gt;alert(1)&lt;/script&gt;")
    );
    let bytes = bytes_of(&letter);
    let (head, _) = bytes.split_once("\r\n\r\n").unwrap();
    let names = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
    let names: Vec<_> = names.filter_map(|line| Some(line.split_once(':')?.0)).collect();
    let expected = [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "MIME-Version",
        "Content-Type",
    ];
    assert_eq!(names, expected, "{head}");
    let long = sender().letter("alice@example.org", &told(created(&"长".repeat(5000))));
    assert!(long.text.contains(&format!("Name: {}… (k7mq)", "长".repeat(120))));
}

#[test]
fn a_message_is_what_the_standards_want() {
    let bytes = bytes_of(&sender().letter("alice@example.org", &told(created("我的手机"))));
    assert!(bytes.is_ascii() && bytes.split("\r\n").all(|line| line.len() <= 998 && !line.contains('\n')));
    for held in [
        "Auto-Submitted: auto-generated\r\n",
        "Message-ID: <1@mail.example.org>\r\n",
        "Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n",
        "To: alice@example.org\r\n",
        "Subject: =?utf-8?b?",
        "Content-Type: multipart/alternative;",
        "Content-Type: text/plain; charset=utf-8\r\n",
        "Content-Type: text/html; charset=utf-8\r\n",
    ] {
        assert!(bytes.contains(held), "{held}\n{bytes}");
    }
    assert!(bytes.find("text/plain").unwrap() < bytes.find("text/html").unwrap());
}
