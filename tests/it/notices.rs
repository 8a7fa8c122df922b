//! What users are told by mail, through a real Postfix into a real Dovecot.

use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, eventually};

/// A gate's configuration whose relay is the legacy server.
fn config(legacy: &LegacyServer) -> GateConfig {
    GateConfig::in_front_of(legacy).with_portal().mailing_through(legacy)
}

/// How often the first user was told of something with that in it.
fn told(legacy: &LegacyServer, subject: &str) -> usize {
    legacy.mails(legacy.user(0).0).iter().filter(|mail| mail.contains(subject)).count()
}

#[test]
fn a_user_is_told_in_the_mailbox_what_was_done_to_the_account() {
    let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let gate = Gate::start(config(&legacy));
    let (user, mailbox_password) = legacy.user(0);
    let made = gate.app_password(user, mailbox_password, &[]);
    gate.bind_totp(user);
    gate.cli(&["factor", "unbind", user, "--reason", "手机丢了"]).success();
    eventually("three notices arrive", || legacy.mails(user).len() == 3);
    let mails = legacy.mails(user);
    let of = |subject: &str| mails.iter().find(|mail| mail.contains(subject)).expect("a notice");
    let created = of("Subject: 已生成客户端专用密码 / New app password\n");
    for held in [
        &format!("From: 邮件系统 <{}>", legacy.user(1).0),
        &format!("To: {user}\n"),
        "Auto-Submitted: auto-generated\n",
        &format!("({})", made.label),
        "    操作者: 管理员",
    ] {
        assert!(created.contains(held), "{held}\n{created}");
    }
    assert!(!mails.concat().contains(&made.password), "no secret");
    of("已绑定二次验证方式 / Second factor added");
    assert!(of("已解除绑定二次验证方式 / Second factor removed").contains("    Reason: 手机丢了"));
}

#[test]
fn what_was_told_while_the_relay_was_down_arrives_once_when_it_is_up_even_if_the_gate_was_killed() {
    let mut legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
    let (first, second) = (config(&legacy), config(&legacy));
    let mut gate = Gate::start(first);
    let user = legacy.user(0).0.to_owned();
    gate.cli(&["account", "add", &user]).success();
    legacy.stop();
    gate.bind_totp(&user);
    eventually("the relay is missed", || gate.log().contains("the relay cannot be reached"));
    gate.kill();
    legacy.start_again();
    let database = format!("sqlite://{}", gate.directory().join("data/mailward.db").display());
    gate.start_again();
    let other = gate.join(second.database(&database));
    eventually("the notice arrives", || told(&legacy, "Second factor added") == 1);
    std::thread::sleep(std::time::Duration::from_secs(6));
    assert_eq!(told(&legacy, "Second factor added"), 1, "two gates, one notice\n{}", other.log());
}
