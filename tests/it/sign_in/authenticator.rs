//! A passkey in software: ES256, user verified, found by its account; and all it can do wrong.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use child_death_review::platform::crypt::sha256;
use serde_json::{Value, json};
use std::cell::Cell;

const UP: u8 = 0x01;
const UV: u8 = 0x04;
const AT: u8 = 0x40;

pub struct Authenticator {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    origin: String,
    user: std::cell::RefCell<String>,
    counter: Cell<u32>,
    /// Unlocked by its owner.
    pub verifies: Cell<bool>,
}

impl Authenticator {
    pub fn new(origin: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let id = sha256(&[key.public_key().as_ref()]).to_vec();
        Self {
            key,
            id,
            origin: origin.to_owned(),
            user: Default::default(),
            counter: Cell::new(0),
            verifies: Cell::new(true),
        }
    }

    pub fn rewind(&self) {
        self.counter.set(0);
    }

    fn client_data(&self, kind: &str, challenge: &Value) -> String {
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false })
            .to_string()
    }

    fn data(&self, rp: &str, flags: u8) -> Vec<u8> {
        let verified = if self.verifies.get() { UV } else { 0 };
        self.counter.set(self.counter.get() + 1);
        let mut d = sha256(&[rp.as_bytes()]).to_vec();
        d.push(UP | verified | flags);
        d.extend_from_slice(&self.counter.get().to_be_bytes());
        d
    }

    /// Answers `navigator.credentials.create`.
    pub fn create(&self, question: &Value) -> String {
        let q = &question["publicKey"];
        assert_eq!(q["authenticatorSelection"]["residentKey"], "required");
        assert_eq!(q["authenticatorSelection"]["userVerification"], "required");
        *self.user.borrow_mut() = q["user"]["id"].as_str().unwrap().to_owned();
        let mut data = self.data(q["rp"]["id"].as_str().unwrap(), AT);
        data.extend_from_slice(&[0; 16]);
        data.extend_from_slice(&u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend_from_slice(&self.id);
        // COSE: EC2, ES256, P-256, x, y.
        let point = self.key.public_key().as_ref();
        data.extend_from_slice(&[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend_from_slice(&point[1..33]);
        data.extend_from_slice(&[0x22, 0x58, 0x20]);
        data.extend_from_slice(&point[33..65]);
        // CBOR: { fmt: "none", attStmt: {}, authData: data }.
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).unwrap());
        object.extend_from_slice(&data);
        let client = self.client_data("webauthn.create", &q["challenge"]);
        json!({
            "id": B64.encode(&self.id), "rawId": B64.encode(&self.id), "type": "public-key", "extensions": {},
            "response": { "attestationObject": B64.encode(object), "clientDataJSON": B64.encode(client) }
        })
        .to_string()
    }

    /// Answers `navigator.credentials.get`.
    pub fn get(&self, question: &Value) -> String {
        let q = &question["publicKey"];
        let data = self.data(q["rpId"].as_str().unwrap(), 0);
        let client = self.client_data("webauthn.get", &q["challenge"]);
        let signed = [data.as_slice(), &sha256(&[client.as_bytes()])].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        json!({
            "id": B64.encode(&self.id), "rawId": B64.encode(&self.id), "type": "public-key", "extensions": {},
            "response": {
                "authenticatorData": B64.encode(data), "clientDataJSON": B64.encode(client),
                "signature": B64.encode(signature.as_ref()), "userHandle": *self.user.borrow()
            }
        })
        .to_string()
    }
}
