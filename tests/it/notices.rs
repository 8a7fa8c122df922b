//! What users are told by mail, through a real Postfix into a real Dovecot.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::{Gate, GateConfig, LegacyOptions, LegacyServer, eventually, run};

/// Says a message as a reader sees it: some headers, decoded, and the plain text.
const READ: &str = "
import email, email.policy, sys
message = email.message_from_file(open(sys.argv[1]), policy=email.policy.default)
for name in ['From', 'To', 'Subject', 'Auto-Submitted']:
    print(f'{name}: {message[name]}')
print(message.get_body(('plain',)).get_content())
assert '<html' in message.get_body(('html',)).get_content()
assert not message.defects
";

struct Site {
    legacy: LegacyServer,
    secret: TempDir,
}

impl Site {
    fn start() -> Self {
        let legacy = LegacyServer::start(LegacyOptions::default().fast_auth());
        let secret = TempDir::new().expect("a temporary directory");
        let file = secret.path().join("relay.secret");
        fs::write(&file, legacy.user(1).1).expect("the relay's password");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("for its owner only");
        Self { legacy, secret }
    }

    /// A gate whose relay is the legacy server, where it logs in as the second user.
    fn config(&self) -> GateConfig {
        let legacy = &self.legacy;
        let set = |config: GateConfig, key: &str, value: String| config.set(&["mail", key], value);
        let file = self.secret.path().join("relay.secret").display().to_string();
        let config = GateConfig::in_front_of(legacy).with_portal();
        let config = set(config, "relay", format!("{}:{}", legacy.host(), legacy.port("smtp")));
        let config = set(config, "server_name", legacy.name().to_owned());
        let config = set(config, "ca_file", legacy.ca_file().display().to_string());
        let config = set(config, "user", legacy.user(1).0.to_owned());
        let config = set(config, "password_file", file);
        set(config, "from", format!("邮件系统 <{}>", legacy.user(1).0))
    }

    /// What lies in the first user's mailbox, read, in no order.
    fn mails(&self) -> Vec<String> {
        let user = self.legacy.user(0).0;
        let local = user.split_once('@').expect("an address").0;
        let mut files = Vec::new();
        find_mails(self.legacy.directory(), &mut files);
        let of_user = |file: &&PathBuf| {
            file.components().any(|part| part.as_os_str() == local || part.as_os_str() == user)
        };
        let read = |file: &PathBuf| run("python3", &["-c", READ, &file.display().to_string()], "").success();
        files.iter().filter(of_user).map(read).collect()
    }

    fn told(&self, subject: &str) -> usize {
        self.mails().iter().filter(|mail| mail.contains(subject)).count()
    }
}

fn find_mails(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find_mails(&path, files);
        } else if path
            .parent()
            .is_some_and(|folder| folder.ends_with("Maildir/new") || folder.ends_with("Maildir/cur"))
        {
            files.push(path);
        }
    }
}

#[test]
fn a_user_is_told_in_the_mailbox_what_was_done_to_the_account() {
    let site = Site::start();
    let gate = Gate::start(site.config());
    let (user, mailbox_password) = site.legacy.user(0);
    let made = gate.app_password(user, mailbox_password, &[]);
    gate.bind_totp(user);
    gate.cli(&["factor", "unbind", user, "--reason", "手机丢了"]).success();
    eventually("three notices arrive", || site.mails().len() == 3);
    let mails = site.mails();
    let of = |subject: &str| mails.iter().find(|mail| mail.contains(subject)).expect("a notice");
    let created = of("Subject: 已生成客户端专用密码 / New app password\n");
    for held in [
        &format!("From: 邮件系统 <{}>", site.legacy.user(1).0),
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
    let mut site = Site::start();
    let (first, config) = (site.config(), site.config());
    let mut gate = Gate::start(first);
    let user = site.legacy.user(0).0.to_owned();
    gate.cli(&["account", "add", &user]).success();
    site.legacy.stop();
    gate.bind_totp(&user);
    eventually("the relay is missed", || gate.log().contains("the relay cannot be reached"));
    gate.kill();
    site.legacy.start_again();
    let database = format!("sqlite://{}", gate.directory().join("data/mailward.db").display());
    gate.start_again();
    let other = gate.join(config.database(&database));
    eventually("the notice arrives", || site.told("Second factor added") == 1);
    std::thread::sleep(std::time::Duration::from_secs(6));
    assert_eq!(site.told("Second factor added"), 1, "two gates, one notice\n{}", other.log());
}
