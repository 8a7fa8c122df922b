//! A client stays who it was admitted as (SMTP's part is in `xclient`).

use crate::support::{Fake, Gate, GateConfig, Guest, Mail, Manner, UpstreamTls};

const USER: &str = "user0@example.test";

/// Logged in at an upstream that offers to forget who the client is.
fn logged_in(capability: &'static str) -> (Gate, Fake, Guest) {
    let fake = Fake::start(Mail::Imap);
    let offer = vec!["IMAP4rev1", "LITERAL+", "COMPRESS=DEFLATE", "AUTH=PLAIN", capability];
    fake.behave(Manner { offer, ..Manner::friendly(Mail::Imap) });
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None));
    let mut guest = Guest::at(&gate, Mail::Imap);
    let told = guest.wire.imap("a", "CAPABILITY");
    let reply = guest.log_in(USER, "password");
    assert!(Mail::Imap.is_yes(&reply), "{reply}");
    for told in [told, reply, guest.wire.imap("a", "CAPABILITY")] {
        assert!(
            told.contains("LITERAL+") && !told.contains(capability) && !told.contains("COMPRESS"),
            "{told}"
        );
    }
    (gate, fake, guest)
}

#[test]
fn unauthenticate_never_reaches_an_upstream_that_offers_it() {
    for capability in ["UNAUTHENTICATE", "X-UNAUTHENTICATE"] {
        let (_gate, fake, mut guest) = logged_in(capability);
        for command in [
            "UNAUTHENTICATE",
            "unauthenticate",
            capability,
            "AUTHENTICATE PLAIN x",
            "STARTTLS",
            "COMPRESS DEFLATE",
        ] {
            let reply = guest.wire.imap("b", command);
            assert!(reply.starts_with("b BAD"), "{command}: {reply}");
        }
        // Pipelined, and in a literal that this server does not ask for.
        guest
            .wire
            .send("c NOOP\r\nd UNAUTHENTICATE\r\ne APPEND x {18+}\r\nf UNAUTHENTICATE\r\n\r\ng NOOP\r\n");
        let heard = guest.wire.tagged("g");
        assert!(heard.contains("c OK") && heard.contains("d BAD Not available here\r\n"), "{heard}");
        let heard = fake.heard_after_login().to_ascii_uppercase();
        assert!(heard.contains("APPEND X {18}") && !heard.contains("UNAUTHENTICATE"), "{heard}");
    }
}

/// One tag for two commands: the answer to the one must not be taken for the answer to the other.
#[test]
fn a_tag_used_twice_hides_no_command() {
    let fake = Fake::start(Mail::Imap);
    fake.behave(Manner::scripted(Mail::Imap, |line, _| {
        let answer = match line {
            "" => "* OK [CAPABILITY IMAP4rev1 LITERAL+ UNAUTHENTICATE] ready\r\n",
            "a APPEND x {22}" => "+ go on\r\n",
            "b APPEND y {30+}" => "",
            "...." => "a OK appended\r\n",
            login if login.starts_with("g4 ") => {
                "g4 OK [CAPABILITY IMAP4rev1 LITERAL+ UNAUTHENTICATE] in\r\n"
            }
            _ => "TAG OK done\r\n",
        };
        Some(answer.as_bytes().to_vec())
    }));
    let gate = Gate::start(GateConfig::in_front_of_fakes(&[&fake], UpstreamTls::None));
    let mut guest = Guest::at(&gate, Mail::Imap);
    assert!(Mail::Imap.is_yes(&guest.log_in(USER, "password")));
    guest
        .wire
        .send("a NOOP\r\na APPEND x {22}\r\nb APPEND y {30+}\r\n....\r\nc UNAUTHENTICATE\r\nd NOOP\r\n");
    let heard = guest.wire.tagged("d");
    assert!(heard.contains("a OK appended\r\n") && heard.contains("c BAD Not available here\r\n"), "{heard}");
    assert!(!fake.heard().contains("UNAUTHENTICATE"), "{}", fake.heard());
}
