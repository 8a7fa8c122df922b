//! Keyword by keyword: what clients are told of an upstream's words, and what the gate adds or withholds.

use std::sync::Arc;

use rstest::rstest;

use super::imap::Imap;
use super::pop3::Pop3;
use super::smtp::Smtp;
use super::*;

/// The dialogue's side of a client.
struct Client<P: MailProtocol>(P::Server);

impl<P: MailProtocol> Client<P> {
    fn new(offer: P::Offer, channel: Channel) -> Self {
        let hostname = "gate.example.org".to_owned();
        let wording = Arc::new(Wording { hostname, portal: None, language: Language::English });
        Self(P::Server::new(ServerSetup { wording, offer: Arc::new(offer), channel }))
    }

    /// Says `line`, and returns all that is said until the client has the word.
    fn ask(&mut self, line: &str) -> String {
        self.0.receive(line.as_bytes());
        self.listen()
    }

    fn listen(&mut self) -> String {
        let mut heard = String::new();
        while let Step::Send(bytes) = self.0.step() {
            heard += std::str::from_utf8(&bytes).unwrap();
        }
        heard
    }
}

/// Where a word is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    before_tls: bool,
    before_login: bool,
    after_login: bool,
}

const NOWHERE: Told = Told { before_tls: false, before_login: false, after_login: false };
const EVERYWHERE: Told = Told { before_tls: true, before_login: true, after_login: true };
/// The gate's own doing, about which the upstream says nothing.
const ADDED: Told = Told { before_tls: true, before_login: true, after_login: false };
const BEFORE_TLS: Told = Told { before_tls: true, ..NOWHERE };
const IN_TLS: Told = Told { before_login: true, ..NOWHERE };

/// Whether one of `words` is `word`; none may be said twice.
#[track_caller]
fn says<'w>(words: impl Iterator<Item = &'w str>, word: &str) -> bool {
    let count = words.filter(|told| told.eq_ignore_ascii_case(word)).count();
    assert!(count <= 1, "`{word}` is said {count} times");
    count == 1
}

#[rstest]
// mechanisms that the gate does not do, and those that it does
#[case("AUTH=CRAM-MD5", "AUTH=CRAM-MD5", NOWHERE)]
#[case("AUTH=SCRAM-SHA-256-PLUS", "AUTH=SCRAM-SHA-256-PLUS", NOWHERE)]
#[case("auth=xoauth2", "AUTH=XOAUTH2", NOWHERE)]
#[case("AUTH=GSSAPI", "AUTH=GSSAPI", NOWHERE)]
#[case("AUTH=PLAIN", "AUTH=PLAIN", IN_TLS)]
#[case("", "AUTH=PLAIN", IN_TLS)]
#[case("", "AUTH=LOGIN", IN_TLS)]
// TLS
#[case("STARTTLS", "STARTTLS", BEFORE_TLS)]
#[case("", "STARTTLS", BEFORE_TLS)]
#[case("LOGINDISABLED", "LOGINDISABLED", BEFORE_TLS)]
// what would lead elsewhere, or to another account
#[case("LOGIN-REFERRALS", "LOGIN-REFERRALS", NOWHERE)]
#[case("UNAUTHENTICATE", "UNAUTHENTICATE", NOWHERE)]
#[case("COMPRESS=DEFLATE", "COMPRESS=DEFLATE", EVERYWHERE)]
#[case("COMPRESS=DEFLATE UNAUTHENTICATE", "COMPRESS=DEFLATE", NOWHERE)]
// the gate's own
#[case("", "SASL-IR", ADDED)]
#[case("SASL-IR", "SASL-IR", EVERYWHERE)]
#[case("", "ID", ADDED)]
#[case("ID", "ID", EVERYWHERE)]
// only what is there afterwards
#[case("", "LITERAL+", NOWHERE)]
#[case("LITERAL+", "LITERAL+", EVERYWHERE)]
#[case("", "LITERAL-", NOWHERE)]
#[case("LITERAL-", "LITERAL-", EVERYWHERE)]
#[case("IDLE", "IDLE", EVERYWHERE)]
fn each_imap_capability_is_told_where_it_is_true(
    #[case] upstream: &str,
    #[case] word: &str,
    #[case] told: Told,
) {
    let list = format!("IMAP4rev1 {upstream}");
    let listed = |reply: &str| {
        let list = reply.split_once("CAPABILITY ").map_or("", |(_, list)| list);
        let list = list.split([']', '\r']).next().unwrap_or_default();
        assert!(list.starts_with("IMAP4rev1"), "{reply}");
        says(list.split(' '), word)
    };
    let before = |channel| {
        let mut client = Client::<Imap>::new(imap::Offer::parse(&list), channel);
        let greeting = listed(&client.listen());
        assert_eq!(listed(&client.ask("a CAPABILITY\r\n")), greeting);
        (client, greeting)
    };
    let (_, before_tls) = before(Channel::Plain);
    let (mut client, before_login) = before(Channel::Secured);
    client.0.receive(b"b LOGIN ann secret\r\n");
    assert!(matches!(client.0.step(), Step::Event(_)));
    let capabilities = imap::Capabilities::parse(list.as_bytes());
    let before = capabilities.clone();
    let welcome = imap::Welcome { before, capabilities, untagged: Vec::new(), text: String::new() };
    client.0.admit(welcome, Access::Full);
    let after_login = listed(&client.listen());
    assert_eq!(Told { before_tls, before_login, after_login }, told);
}

#[test]
fn an_upstream_that_says_unauthenticate_only_before_login_is_guarded_and_gets_no_compression() {
    let welcome = imap::Welcome {
        before: imap::Capabilities::parse(b"IMAP4rev1 UNAUTHENTICATE"),
        capabilities: imap::Capabilities::parse(b"IMAP4rev1 COMPRESS=DEFLATE"),
        untagged: Vec::new(),
        text: String::new(),
    };
    assert!(Imap::guard(&welcome).is_some());
    let mut client = Client::<Imap>::new(imap::Offer::default(), Channel::Secured);
    client.0.receive(b"b LOGIN ann secret\r\n");
    client.listen();
    client.0.admit(welcome, Access::Full);
    assert_eq!(client.listen(), "b OK [CAPABILITY IMAP4rev1] Logged in\r\n");
}

#[test]
fn who_may_only_read_gets_no_compression_from_any_upstream() {
    for access in Access::ALL {
        let welcome = imap::Welcome {
            before: imap::Capabilities::parse(b"IMAP4rev1"),
            capabilities: imap::Capabilities::parse(b"IMAP4rev1 COMPRESS=DEFLATE MOVE"),
            untagged: Vec::new(),
            text: String::new(),
        };
        assert!(Imap::guard(&welcome).is_none());
        let mut client = Client::<Imap>::new(imap::Offer::default(), Channel::Secured);
        client.0.receive(b"b LOGIN ann secret\r\n");
        client.listen();
        client.0.admit(welcome, access);
        let compression = if access == Access::Full { " COMPRESS=DEFLATE" } else { "" };
        assert_eq!(client.listen(), format!("b OK [CAPABILITY IMAP4rev1{compression} MOVE] Logged in\r\n"));
    }
}

#[test]
fn who_may_only_read_sends_nothing() {
    let mut guard = Smtp::read_only_guard(&smtp::Welcome { offer: smtp::Offer::default() });
    let mut out = Forward::default();
    guard.upstream_sent(b"250 hello\r\n", &mut out).unwrap();
    assert_eq!(guard.client_sent(b"N", &mut out), Err(Violation::NotForThisClient));
    assert_eq!((&out.to_client[..], &out.to_upstream[..]), (&b"250 hello\r\n"[..], &b""[..]));
}

/// After login nothing stands between the client and the upstream's CAPA.
#[rstest]
#[case("SASL CRAM-MD5 PLAIN", "SASL CRAM-MD5 PLAIN", NOWHERE)]
#[case("SASL CRAM-MD5 PLAIN", "SASL PLAIN LOGIN", IN_TLS)]
#[case("", "SASL PLAIN LOGIN", IN_TLS)]
#[case("", "USER", IN_TLS)]
#[case("STLS", "STLS", BEFORE_TLS)]
#[case("", "STLS", BEFORE_TLS)]
#[case("APOP", "APOP", NOWHERE)]
#[case("XCLIENT ADDR PORT", "XCLIENT ADDR PORT", NOWHERE)]
#[case("", "RESP-CODES", ADDED)]
#[case("RESP-CODES", "RESP-CODES", ADDED)]
#[case("", "AUTH-RESP-CODE", ADDED)]
#[case("AUTH-RESP-CODE", "AUTH-RESP-CODE", ADDED)]
#[case("", "PIPELINING", NOWHERE)]
#[case("PIPELINING", "PIPELINING", ADDED)]
#[case("UIDL", "UIDL", ADDED)]
fn each_pop3_capability_is_told_where_it_is_true(
    #[case] upstream: &str,
    #[case] line: &str,
    #[case] told: Told,
) {
    let before = |channel| {
        let mut client = Client::<Pop3>::new(pop3::Offer::new(["TOP", upstream]), channel);
        let greeting = client.listen();
        assert!(!greeting.contains(['<', '@']), "a timestamp makes clients try APOP: {greeting}");
        let reply = client.ask("CAPA\r\n");
        assert!(reply.contains("\r\nTOP\r\n"), "{reply}");
        says(reply.split("\r\n"), line)
    };
    let (before_tls, before_login) = (before(Channel::Plain), before(Channel::Secured));
    assert_eq!(Told { before_tls, before_login, after_login: false }, told);
}

#[rstest]
#[case("AUTH CRAM-MD5 PLAIN", "AUTH CRAM-MD5 PLAIN", NOWHERE)]
#[case("AUTH CRAM-MD5 PLAIN", "AUTH PLAIN LOGIN", IN_TLS)]
#[case("", "AUTH PLAIN LOGIN", IN_TLS)]
#[case("AUTH=LOGIN PLAIN", "AUTH=LOGIN PLAIN", NOWHERE)]
#[case("STARTTLS", "STARTTLS", BEFORE_TLS)]
#[case("", "STARTTLS", BEFORE_TLS)]
#[case("XCLIENT NAME ADDR LOGIN", "XCLIENT NAME ADDR LOGIN", NOWHERE)]
#[case("XFORWARD NAME ADDR", "XFORWARD NAME ADDR", NOWHERE)]
#[case("COMPRESS DEFLATE", "COMPRESS DEFLATE", NOWHERE)]
#[case("", "ENHANCEDSTATUSCODES", ADDED)]
#[case("ENHANCEDSTATUSCODES", "ENHANCEDSTATUSCODES", EVERYWHERE)]
#[case("", "PIPELINING", NOWHERE)]
#[case("PIPELINING", "PIPELINING", EVERYWHERE)]
#[case("", "CHUNKING", NOWHERE)]
#[case("CHUNKING", "CHUNKING", EVERYWHERE)]
#[case("SIZE 1000", "SIZE 1000", EVERYWHERE)]
fn each_ehlo_keyword_is_told_where_it_is_true(
    #[case] upstream: &str,
    #[case] line: &str,
    #[case] told: Told,
) {
    let listed = |reply: &str| {
        assert!(reply.contains("250-DSN\r\n") || reply.contains("250 DSN\r\n"), "{reply}");
        says(reply.split("\r\n").skip(1).filter_map(|line| line.get(4..)), line)
    };
    let offer = smtp::Offer::new(["DSN", upstream]);
    let before = |channel| {
        let mut client = Client::<Smtp>::new(offer.clone(), channel);
        client.listen();
        listed(&client.ask("EHLO me\r\n"))
    };
    let (before_tls, before_login) = (before(Channel::Plain), before(Channel::Secured));
    let mut guard = Smtp::guard(&smtp::Welcome { offer: offer.clone() }).unwrap();
    let mut out = Forward::default();
    guard.client_sent(b"EHLO me\r\n", &mut out).unwrap();
    let mut reply = "250-legacy.example.org\r\n".to_owned();
    reply += &["DSN", upstream]
        .map(|line| if line.is_empty() { String::new() } else { format!("250-{line}\r\n") })
        .concat();
    guard.upstream_sent((reply + "250 HELP\r\n").as_bytes(), &mut out).unwrap();
    let after_login = listed(std::str::from_utf8(&out.to_client).unwrap());
    assert_eq!(Told { before_tls, before_login, after_login }, told);
}

#[test]
fn an_offer_that_the_handshake_narrowed_is_told_from_then_on() {
    fn secure<P: MailProtocol>(starttls: &str, offer: P::Offer, ask: &str) -> (String, String) {
        let mut client = Client::<P>::new(P::Offer::default(), Channel::Plain);
        let before = client.ask(ask);
        client.0.receive(starttls.as_bytes());
        loop {
            match client.0.step() {
                Step::Send(_) => {}
                Step::StartTls => break,
                Step::NeedInput | Step::Event(_) | Step::Close => panic!("no handshake"),
            }
        }
        client.0.offer(Arc::new(offer));
        client.0.secured();
        (before, client.ask(ask))
    }
    for (before, after) in [
        secure::<Imap>("s STARTTLS\r\n", imap::Offer::parse("IMAP4rev1 NEW"), "a CAPABILITY\r\n"),
        secure::<Pop3>("STLS\r\n", pop3::Offer::new(["NEW"]), "CAPA\r\n"),
        secure::<Smtp>("STARTTLS\r\n", smtp::Offer::new(["NEW"]), "EHLO me\r\n"),
    ] {
        assert!(!before.contains("NEW") && after.contains("NEW"), "{before}{after}");
    }
}

/// What a client hears that had said `lines` when the gate ends the conversation, and whether the connection ends.
fn dismissed<P: MailProtocol>(why: Dismissal, channel: Channel, lines: &[&str]) -> (String, bool) {
    let mut client = Client::<P>::new(P::Offer::default(), channel);
    client.listen();
    for line in lines {
        client.ask(line);
    }
    client.0.dismiss(why);
    let heard = client.listen();
    (heard, matches!(client.0.step(), Step::Close))
}

/// The words of IMAP and SMTP for those who have the word; all others get none.
fn only_who_has_the_word_hears(why: Dismissal, bye: &str, reply: &str) {
    let (tls, plain, nothing) = (Channel::Secured, Channel::Plain, (String::new(), true));
    for lines in [&[][..], &["a NOOP\r\n"], &["a LOGIN half"], &["a AUTHENTICATE PLAIN\r\n"]] {
        assert_eq!(dismissed::<Imap>(why, tls, lines), (bye.to_owned(), true), "{lines:?}");
    }
    for lines in [&[][..], &["EHLO me\r\n"], &["EHLO me\r\n", "AUTH LOGIN\r\n"]] {
        assert_eq!(dismissed::<Smtp>(why, tls, lines), (reply.to_owned(), true), "{lines:?}");
    }
    assert_eq!(dismissed::<Pop3>(why, tls, &["USER ann\r\n"]), nothing);
    // Its attempt is being judged, or a handshake is under way: it expects something else.
    assert_eq!(dismissed::<Imap>(why, tls, &["a LOGIN ann secret\r\n"]), nothing);
    assert_eq!(dismissed::<Smtp>(why, tls, &["EHLO me\r\nAUTH PLAIN AGEAYg==\r\n"]), nothing);
    assert_eq!(dismissed::<Imap>(why, plain, &["a STARTTLS\r\n"]), nothing);
    assert_eq!(dismissed::<Smtp>(why, plain, &["EHLO me\r\nSTARTTLS\r\n"]), nothing);
}

#[test]
fn whoever_has_the_word_when_the_gate_stops_is_told_and_nobody_else() {
    only_who_has_the_word_hears(
        Dismissal::Stopping,
        "* BYE The server restarts, connect again in a moment\r\n",
        "421 4.3.2 gate.example.org restarts, try again in a moment\r\n",
    );
}

#[test]
fn whoever_has_the_word_when_his_time_is_up_is_told_and_nobody_else() {
    only_who_has_the_word_hears(
        Dismissal::TimeIsUp,
        "* BYE Too long without a login\r\n",
        "421 4.4.2 gate.example.org has waited too long for a login\r\n",
    );
}
