//! What a mail client needs to know, as the doors of this site really are.

use crate::base::Protocol;
use crate::portal::Door;

/// Servers and ports.
#[derive(Clone, Debug, Default)]
pub(in crate::web) struct Settings {
    /// One for each protocol that has a door.
    pub(in crate::web) rows: Vec<SettingsRow>,
}

/// One protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) struct SettingsRow {
    /// The message that says what it is for.
    pub(in crate::web) role: &'static str,
    /// The server's name.
    pub(in crate::web) host: String,
    /// Ports with TLS from the first byte; a dash where there is none.
    pub(in crate::web) tls: String,
    /// Ports with STARTTLS.
    pub(in crate::web) starttls: String,
}

impl Settings {
    /// As `doors` are, under the name that clients are told.
    pub(in crate::web) fn of(doors: &[Door], host: &str) -> Self {
        let rows = Protocol::ALL.into_iter().filter_map(|protocol| {
            let ports = |implicit| {
                let with = doors.iter().filter(|door| door.protocol == protocol && door.implicit == implicit);
                ports(with.map(|door| door.port).collect())
            };
            let (tls, starttls) = (ports(true), ports(false));
            let there = tls.is_some() || starttls.is_some();
            let said = |ports: Option<String>| ports.unwrap_or_else(|| "–".to_owned());
            let role = match protocol {
                Protocol::Imap => "settings-imap",
                Protocol::Pop3 => "settings-pop3",
                Protocol::Smtp => "settings-smtp",
            };
            there.then(|| SettingsRow {
                role,
                host: host.to_owned(),
                tls: said(tls),
                starttls: said(starttls),
            })
        });
        Self { rows: rows.collect() }
    }

    /// Whether there are doors for receiving over IMAP and for sending.
    pub(in crate::web) fn receives_and_sends(&self) -> bool {
        ["settings-imap", "settings-smtp"].iter().all(|role| self.rows.iter().any(|row| row.role == *role))
    }
}

fn ports(mut ports: Vec<u16>) -> Option<String> {
    // Port 25 is for other servers; a client that can use 587 should.
    ports.sort_unstable_by_key(|port| (*port == 25, *port));
    ports.dedup();
    let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
    (!ports.is_empty()).then(|| ports.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_the_doors_that_there_are() {
        let door = |protocol, implicit, port| Door { protocol, implicit, port };
        let doors = [
            door(Protocol::Imap, true, 993),
            door(Protocol::Smtp, true, 994),
            door(Protocol::Smtp, true, 465),
            door(Protocol::Smtp, true, 465),
            door(Protocol::Smtp, false, 25),
            door(Protocol::Smtp, false, 587),
        ];
        let told = Settings::of(&doors, "mail.example.org").rows;
        let told: Vec<_> = told.into_iter().map(|row| (row.role, row.tls, row.starttls)).collect();
        let row = |role, tls: &str, starttls: &str| (role, tls.to_owned(), starttls.to_owned());
        assert_eq!(told, [row("settings-imap", "993", "–"), row("settings-smtp", "465, 994", "587, 25")]);
    }
}
