//! What administrators copy from `docs/admin`: the sections for balancers, with addresses and ports of these tests in the
//! place of those on the page and nothing else changed, carry the client's address.

use std::fs;

use toml::Table;

use super::{guest, is_named, loopback, recorded, visit};
use crate::support::{
    BALANCER, Balancer, Gate, GateConfig, LegacyOptions, LegacyServer, Mail, Port, Visitor, Wire, eventually,
    in_repository,
};

/// What a page shows between two fences: the one with `mark` in it.
fn block(page: &str, mark: &str) -> String {
    let page = fs::read_to_string(in_repository("docs/admin").join(page)).expect("the page");
    let blocks = page.split("\n```").skip(1).step_by(2);
    let found = blocks.filter_map(|block| block.split_once('\n')).find(|(_, text)| text.contains(mark));
    let (_, text) = found.unwrap_or_else(|| panic!("no block with `{mark}`"));
    format!("{text}\n")
}

/// The same block elsewhere.
fn moved(block: &str, places: &[(&str, &str)]) -> String {
    places.iter().fold(block.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "no `{from}` in:\n{text}");
        text.replace(from, to)
    })
}

/// In front of that port, on one of its own.
fn balancer(program: &str, behind: u16) -> Balancer {
    let (own, behind) = (Port::choose(), format!("127.0.0.1:{behind}"));
    let (bind, listen) =
        (format!("bind 127.0.0.1:{}", own.number), format!("listen 127.0.0.1:{}", own.number));
    let ports = vec![((Mail::Imap, true), own)];
    if program == "nginx" {
        let stream = block("client-addresses.md", "stream {");
        let places = [("listen 993", &*listen), ("10.0.0.10:993", &behind)];
        return Balancer::nginx(&moved(&stream, &places), ports);
    }
    let section = block("client-addresses.md", "listen imaps");
    let places = [("bind :993", &*bind), ("10.0.0.10:993", &behind), ("10.0.0.11:993", &behind)];
    Balancer::haproxy(&moved(&section, &places), ports)
}

#[test]
fn the_sections_for_balancers_carry_the_clients_address_to_trail_and_logs() {
    let legacy = LegacyServer::start(LegacyOptions::default().trusting_the_gate().fast_auth());
    let portal = moved(&block("portal.md", "proxy_protocol_from"), &[("192.0.2.10", BALANCER)]);
    let portal: Table = portal.parse().expect("TOML");
    let believed = portal["portal"]["proxy_protocol_from"].clone();
    let config = GateConfig::in_front_of(&legacy).portal_at("127.0.0.1");
    let gate = Gate::start(config.set(&["portal", "proxy_protocol_from"], believed));
    let door = Port::choose();
    let listener = block("client-addresses.md", "[[listener]]");
    let address = format!("127.0.0.1:{}", door.number);
    let places = [("[::]:993", &*address), ("10.0.0.4", BALANCER), ("10.0.0.5", "127.0.0.78")];
    let config = fs::read_to_string(gate.config_file()).expect("its configuration");
    gate.configure(&format!("{config}\n{}", moved(&listener, &places)));
    assert!(!gate.reload().contains("nothing was reloaded"));

    let (user, password) = legacy.user(0);
    for (program, source) in [("haproxy", loopback(9)), ("nginx", loopback(10))] {
        let mail = balancer(program, door.number);
        let wire = Wire::open_from(source, "127.0.0.1", mail.port(Mail::Imap, true));
        let _wire = visit(guest(wire, &gate, Mail::Imap, true), &legacy, Mail::Imap);
        is_named(&legacy, Mail::Imap, &source.to_string());
        eventually("the trail names it", || recorded(&gate).contains(&source.to_string()));

        let pages = balancer(program, gate.portal_port());
        let way = format!("127.0.0.1:{}:127.0.0.1:{}", gate.portal_port(), pages.port(Mail::Imap, true));
        let form = [format!("login={user}"), format!("password={password}")];
        let [login, secret] = form.each_ref();
        let sent = ["--data-urlencode", login, "--data-urlencode", secret];
        let by_it = ["--connect-to", &way, "--interface", &source.to_string()];
        Visitor::before(gate.portal()).ask("/sign-in", &[&by_it[..], &sent].concat()).success();
        let sign_ins = gate.cli(&["audit", "search", "--event", "sign_in", "--json"]).success();
        assert!(sign_ins.contains(&format!("\"{source}\"")), "{program}: {sign_ins}");
        for balancer in [&mail, &pages] {
            let log = balancer.log();
            assert!(!log.contains("WARNING") && !log.contains("[warn]"), "{program} warns: {log}");
        }
    }
    assert!(!gate.log().contains("balancer"), "{}", gate.log());
}
