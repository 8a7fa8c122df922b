//! What a gate that serves makes of a changed file: which settings wait for the next start, and which other files it
//! has to look at.

use std::path::Path;

use super::{Config, Portal, UpstreamCredential};
use crate::base::Protocol;

impl Config {
    /// Puts back, in this new reading, what cannot change while `running` is in force, and names the keys that differ:
    /// what stands there now holds from the next start on.
    pub fn keep_what_needs_a_restart(&mut self, running: &Self) -> Vec<&'static str> {
        let mut keys = Vec::new();
        keep("server.data_dir", &mut self.server.data_dir, &running.server.data_dir, &mut keys);
        keep("database.url", &mut self.database, &running.database, &mut keys);
        keep("limits.connections", &mut self.limits.connections, &running.limits.connections, &mut keys);
        keep("audit.directory", &mut self.audit.directory, &running.audit.directory, &mut keys);
        keep("audit.reserve", &mut self.audit.reserve, &running.audit.reserve, &mut keys);
        keep("metrics.listen", &mut self.metrics, &running.metrics, &mut keys);
        let listen = |portal: &Option<Portal>| portal.as_ref().and_then(|portal| portal.listen);
        if listen(&self.portal) != listen(&running.portal) {
            keys.push("portal.listen");
            match (&mut self.portal, &running.portal) {
                // A portal that is there stays.
                (portal @ None, running) => portal.clone_from(running),
                (Some(portal), running) => {
                    portal.listen = listen(running);
                    // What may be said in clear on one address may not be on another.
                    if let Some(running) =
                        running.as_ref().filter(|running| running.is_secure() != portal.is_secure())
                    {
                        portal.public_url.clone_from(&running.public_url);
                        keys.push("portal.public_url");
                    }
                }
            }
        }
        keys
    }

    /// Every file that the configuration names and the gate reads, be it now or when it starts. They may hold secrets.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        let mut files: Vec<&Path> = Vec::new();
        for certificate in &self.certificates {
            files.extend([&*certificate.cert, &*certificate.key]);
        }
        for upstream in &self.upstreams {
            files.extend(upstream.aliases.as_ref().map(|aliases| &*aliases.path));
            if let UpstreamCredential::Master(master) = &upstream.credential {
                files.push(&master.password_file);
            }
            let endpoints = Protocol::ALL.into_iter().filter_map(|protocol| upstream.endpoint(protocol));
            files.extend(endpoints.filter_map(|endpoint| endpoint.ca_file.as_deref()));
        }
        if let Some(mail) = &self.mail {
            files.extend(mail.ca_file.as_deref());
            files.extend(mail.login.as_ref().map(|login| &*login.password_file));
        }
        files.sort_unstable();
        files.dedup();
        files
    }
}

fn keep<T: PartialEq + Clone>(
    key: &'static str,
    new: &mut T,
    running: &T,
    differing: &mut Vec<&'static str>,
) {
    if new != running {
        differing.push(key);
        running.clone_into(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [server]
        hostname = "mail.example.org"
        data_dir = "data"
        [[tls.certificate]]
        cert = "cert.pem"
        key = "key.pem"
        [[listener]]
        protocol = "imap"
        address = "[::]:993"
        tls = "implicit"
        [[upstream]]
        name = "legacy"
        domains = ["example.org"]
        imap = { address = ["10.0.0.5:143"], tls = "starttls", ca_file = "ca.pem" }
        credential = "master"
        [upstream.master]
        user = "proxy"
        password_file = "credential:master"
        style = "authzid"
    "#;

    fn config(text: &str) -> Config {
        Config::parse(text, Path::new("/etc/mailward/mailward.toml")).unwrap()
    }

    #[test]
    fn what_needs_a_restart_is_named_and_put_back_and_the_rest_is_new() {
        let running = config(FILE);
        let mut same = running.clone();
        assert!(same.keep_what_needs_a_restart(&running).is_empty());
        let text = FILE.replace("data_dir = \"data\"", "data_dir = \"other\"");
        let text = text.replace("mail.example.org", "mx.example.org")
            + "[limits]\nconnections = 7\nidle = \"1h\"\n[audit]\nreserve = \"1MiB\"\n[metrics]";
        let mut changed = config(&text);
        let keys = changed.keep_what_needs_a_restart(&running);
        assert_eq!(
            keys,
            [
                "server.data_dir",
                "database.url",
                "limits.connections",
                "audit.directory",
                "audit.reserve",
                "metrics.listen"
            ]
        );
        assert_eq!((changed.audit.reserve, &changed.metrics), (running.audit.reserve, &None));
        assert_eq!(changed.server.data_dir, running.server.data_dir);
        assert_eq!(changed.database, running.database);
        assert_eq!(changed.limits.connections, 50_000);
        assert_eq!((&*changed.server.hostname, changed.limits.idle.as_secs()), ("mx.example.org", 3600));
    }

    #[test]
    fn a_portal_that_listens_goes_on_where_it_is() {
        let with = |more: &str| config(&format!("{FILE}{more}"));
        let running = with("[portal]\npublic_url = \"https://a\"\nlisten = \"[::]:443\"");
        for (more, url, listen) in [
            ("", "https://a", Some(443)),
            ("[portal]\npublic_url = \"https://b\"", "https://b", Some(443)),
            ("[portal]\npublic_url = \"https://b\"\nlisten = \"[::]:444\"", "https://b", Some(443)),
        ] {
            let mut changed = with(more);
            assert_eq!(changed.keep_what_needs_a_restart(&running), ["portal.listen"], "{more}");
            let portal = changed.portal.unwrap();
            assert_eq!((&*portal.public_url, portal.listen.map(|at| at.port())), (url, listen), "{more}");
        }
        // Who listens for everybody does not begin to speak in clear.
        let mut changed = with("[portal]\npublic_url = \"http://localhost\"\nlisten = \"127.0.0.1:80\"");
        assert_eq!(changed.keep_what_needs_a_restart(&running), ["portal.listen", "portal.public_url"]);
        assert_eq!(changed.portal.unwrap().public_url, "https://a");
        let mut changed = running.clone();
        assert_eq!(changed.keep_what_needs_a_restart(&with("")), ["portal.listen"]);
        assert_eq!(changed.portal.unwrap().listen, None);
    }

    #[test]
    fn every_file_is_named_once() {
        let names = |config: &Config| {
            config.files().iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        let expected = ["ca.pem", "cert.pem", "key.pem"].map(|name| format!("/etc/mailward/{name}"));
        let mut expected = expected.to_vec();
        expected.push("/run/credentials/mailward.service/master".to_owned());
        assert_eq!(names(&config(FILE)), expected);
    }
}
