//! A security key for tests, in software: P-256, no attestation.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PublicKeyData, SigningKey as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::base::random;

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// One key of one account at one site.
pub(crate) struct SoftKey {
    pair: KeyPair,
    id: Vec<u8>,
    user: String,
    /// Where it thinks that it is used.
    pub(crate) origin: String,
    /// 0: it has none.
    pub(crate) counter: u32,
    /// Whether it verifies whose hand it is in.
    pub(crate) verifies: bool,
}

impl SoftKey {
    /// Made for what `options` ask, at `origin`; and what its browser sends.
    pub(crate) fn made(options: &str, origin: &str, counter: u32) -> (Self, String) {
        let options: Value = serde_json::from_str(options).unwrap();
        let key = Self {
            pair: KeyPair::generate().unwrap(),
            id: random::bytes::<32>().to_vec(),
            user: options["user"]["id"].as_str().unwrap().to_owned(),
            origin: origin.to_owned(),
            counter,
            verifies: true,
        };
        let point = key.pair.der_bytes();
        let (x, y) = (&point[1..33], &point[33..65]);
        let public = [&b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"[..], x, b"\x22\x58\x20", y].concat();
        let length = u16::try_from(key.id.len()).unwrap().to_be_bytes();
        let data = key.data(options["rp"]["id"].as_str().unwrap(), ATTESTED);
        let data = [&data[..], &[0; 16], &length, &key.id, &public].concat();
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        let attestation =
            [&b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"[..], &length, &data].concat();
        let response = json!({
            "attestationObject": encoded(&attestation),
            "clientDataJSON": encoded(&key.client("webauthn.create", &options)),
        });
        let answer = key.answer(&response);
        (key, answer)
    }

    /// What its browser sends for what `options` ask.
    pub(crate) fn used(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        if self.counter > 0 {
            self.counter += 1;
        }
        let data = self.data(options["rpId"].as_str().unwrap(), 0);
        let client = self.client("webauthn.get", &options);
        let signed = [&data[..], &Sha256::digest(&client)].concat();
        self.answer(&json!({
            "authenticatorData": encoded(&data),
            "clientDataJSON": encoded(&client),
            "signature": encoded(&self.pair.sign(&signed).unwrap()),
            "userHandle": self.user,
        }))
    }

    /// Its name among keys, as pages write it.
    pub(crate) fn id(&self) -> String {
        encoded(&self.id)
    }

    /// The same key in the hands of whoever claims another account.
    pub(crate) fn claiming(mut self, user: uuid::Uuid) -> Self {
        self.user = encoded(user.as_bytes());
        self
    }

    fn data(&self, site: &str, flags: u8) -> Vec<u8> {
        let flags = flags | PRESENT | if self.verifies { VERIFIED } else { 0 };
        [&Sha256::digest(site)[..], &[flags], &self.counter.to_be_bytes()].concat()
    }

    fn client(&self, kind: &str, options: &Value) -> Vec<u8> {
        let challenge = &options["challenge"];
        let client =
            json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false });
        client.to_string().into_bytes()
    }

    fn answer(&self, response: &Value) -> String {
        json!({ "id": self.id(), "rawId": self.id(), "type": "public-key", "response": response }).to_string()
    }
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
