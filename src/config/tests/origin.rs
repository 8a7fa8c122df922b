//! Where clients come from: what balancers say, and what upstreams hear.

use super::*;

const DOOR: &str = "tls = \"implicit\"\n";

#[test]
fn nobody_is_believed_about_clients_and_upstreams_are_told_what_they_take_unless_the_file_says_otherwise() {
    let config = parse(SHORTEST);
    assert!(config.listeners[0].proxy_protocol_from.is_empty());
    assert_eq!(config.upstreams[0].forward_client, ForwardClient::Auto);
    let listed = "proxy_protocol_from = [\"192.0.2.4\", \"::ffff:192.0.2.8/125\", \"2001:db8::/64\"]\n";
    let text = SHORTEST.replacen(DOOR, &format!("{DOOR}{listed}"), 1);
    for (word, how) in [
        ("auto", ForwardClient::Auto),
        ("proxy-v2", ForwardClient::ProxyV2),
        ("id", ForwardClient::Id),
        ("none", ForwardClient::None),
    ] {
        let config = parse(&format!("{text}forward_client = \"{word}\"\n"));
        assert_eq!(config.upstreams[0].forward_client, how);
        let networks = &config.listeners[0].proxy_protocol_from;
        assert_eq!(networks.to_string(), "192.0.2.4/32,192.0.2.8/29,2001:db8::/64");
        let shown = show::to_toml(&config).unwrap();
        assert!(shown.contains(&format!("forward_client = \"{word}\"")), "{shown}");
        assert_eq!(format!("{config:?}"), format!("{:?}", parse(&shown)), "{shown}");
    }
}

#[test]
fn what_cannot_be_meant_is_told() {
    let door = |line: &str| problem(DOOR, &format!("{DOOR}{line}\n"));
    for (told, expected) in [
        (
            door("proxy_protocol_from = [\"balancer\"]"),
            "line 11: `proxy_protocol_from` in `[[listener]]`: `balancer` is not a network; expected",
        ),
        (
            door("proxy_protocol_from = [\"192.0.2.1\", \"::/0\"]"),
            "line 11: `proxy_protocol_from` in `[[listener]]`: this is everybody, and whoever is listed can claim to \
             come from anywhere\nhint: list",
        ),
        (
            problem_with("forward_client = \"proxy\""),
            "line 15: `proxy` is no value for `forward_client` in `[[upstream]]`; expected `auto`, `proxy-v2`, `id`, \
             `xclient`, `none`\nhint: did you mean `proxy-v2`?",
        ),
        (
            problem_with("forward_client = \"xclient\""),
            "line 11: `forward_client = \"xclient\"` needs `pop3` or `smtp`, which this `[[upstream]]` does not \
             have\nhint: write `\"auto\"`",
        ),
    ] {
        assert!(told.starts_with(expected), "{told}\n  instead of\n{expected}");
    }
    let pop3 = "forward_client = \"id\"\npop3 = { address = [\"10.0.0.5:110\"]";
    let problems = problems("imap = { address = [\"10.0.0.5:143\"]", pop3);
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|told| told.contains("`forward_client = \"id\"` needs `imap`")), "{told:?}");
}
