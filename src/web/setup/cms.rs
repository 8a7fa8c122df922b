//! The server's signature around a document: CMS `SignedData` (RFC 5652 section 5) in DER, with the certificate and key that
//! clients are shown in TLS. The signature itself is made by the TLS library, which has the key.

use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use rustls::SignatureScheme;
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use x509_cert::Certificate;
use x509_cert::attr::{Attribute, Attributes};
use x509_cert::der::asn1::{Any, ObjectIdentifier, OctetString, SetOfVec};
use x509_cert::der::{Decode, Encode, Tagged};
use x509_cert::spki::AlgorithmIdentifierOwned;

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");

/// Why a document goes out unsigned.
#[derive(Debug, thiserror::Error)]
pub(in crate::web) enum Unsigned {
    /// Its readers would not know the signature. Ed25519 is one of these: RFC 8419 defines it for CMS, and neither OpenSSL 3.0
    /// nor what Apple documents reads it.
    #[error("CMS has no signature of this kind of key that phones are known to read: use ECDSA or RSA")]
    Kind,
    /// It is not written in DER as RFC 5280 wants it.
    #[error("the certificate cannot be put into a signature")]
    Certificate(#[source] x509_cert::der::Error),
    /// The key did not sign.
    #[error("the key does not sign")]
    Key(#[source] rustls::Error),
}

/// A kind of signature: how the TLS library calls it, and how CMS calls its parts.
struct Kind {
    scheme: SignatureScheme,
    digest: fn(&[u8]) -> Vec<u8>,
    digest_name: &'static str,
    name: &'static str,
    /// Whether NULL stands behind the name (RFC 3370 section 3.2), or nothing (RFC 5754 section 3.3).
    null: bool,
}

/// All that are used; a key signs with the first that it can.
const KINDS: [Kind; 4] = [
    Kind {
        scheme: SignatureScheme::ECDSA_NISTP256_SHA256,
        digest: |bytes| Sha256::digest(bytes).to_vec(),
        digest_name: "2.16.840.1.101.3.4.2.1",
        name: "1.2.840.10045.4.3.2",
        null: false,
    },
    Kind {
        scheme: SignatureScheme::ECDSA_NISTP384_SHA384,
        digest: |bytes| Sha384::digest(bytes).to_vec(),
        digest_name: "2.16.840.1.101.3.4.2.2",
        name: "1.2.840.10045.4.3.3",
        null: false,
    },
    Kind {
        scheme: SignatureScheme::ECDSA_NISTP521_SHA512,
        digest: |bytes| Sha512::digest(bytes).to_vec(),
        digest_name: "2.16.840.1.101.3.4.2.3",
        name: "1.2.840.10045.4.3.4",
        null: false,
    },
    Kind {
        scheme: SignatureScheme::RSA_PKCS1_SHA256,
        digest: |bytes| Sha256::digest(bytes).to_vec(),
        digest_name: "2.16.840.1.101.3.4.2.1",
        name: "1.2.840.113549.1.1.1",
        null: true,
    },
];

/// `content` with a signature by `with` and its whole chain, in DER.
///
/// # Errors
/// [`Unsigned`]
pub(in crate::web) fn signed(content: &[u8], with: &CertifiedKey) -> Result<Vec<u8>, Unsigned> {
    let signer = with.key.choose_scheme(&KINDS.map(|kind| kind.scheme)).ok_or(Unsigned::Kind)?;
    let kind = KINDS.into_iter().find(|kind| kind.scheme == signer.scheme()).ok_or(Unsigned::Kind)?;
    let chain: Vec<Certificate> =
        with.cert.iter().map(|one| exactly(one)).collect::<Result<_, _>>().map_err(Unsigned::Certificate)?;
    let attributes = attributes(&(kind.digest)(content)).map_err(Unsigned::Certificate)?;
    // Signed with the tag of a SET, and kept with another (RFC 5652 section 5.4).
    let to_sign = attributes.to_der().map_err(Unsigned::Certificate)?;
    let signature = signer.sign(&to_sign).map_err(Unsigned::Key)?;
    wrapped(content, &kind, chain, attributes, signature).map_err(Unsigned::Certificate)
}

fn wrapped(
    content: &[u8],
    kind: &Kind,
    chain: Vec<Certificate>,
    attributes: Attributes,
    signature: Vec<u8>,
) -> x509_cert::der::Result<Vec<u8>> {
    let leaf = chain.first().ok_or(x509_cert::der::ErrorKind::Failed)?;
    let issuer = leaf.tbs_certificate.issuer.clone();
    let serial_number = leaf.tbs_certificate.serial_number.clone();
    let digest_alg = AlgorithmIdentifierOwned { oid: kind.digest_name.parse()?, parameters: None };
    let signer = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber { issuer, serial_number }),
        digest_alg: digest_alg.clone(),
        signed_attrs: Some(attributes),
        signature_algorithm: AlgorithmIdentifierOwned {
            oid: kind.name.parse()?,
            parameters: kind.null.then(Any::null),
        },
        signature: OctetString::new(signature)?,
        unsigned_attrs: None,
    };
    let certificates = chain.into_iter().map(CertificateChoices::Certificate).collect::<Vec<_>>();
    let data = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from(vec![digest_alg])?,
        encap_content_info: EncapsulatedContentInfo {
            econtent_type: DATA,
            econtent: Some(Any::encode_from(&OctetString::new(content)?)?),
        },
        certificates: Some(CertificateSet(SetOfVec::try_from(certificates)?)),
        crls: None,
        signer_infos: SignerInfos(SetOfVec::try_from(vec![signer])?),
    };
    ContentInfo { content_type: SIGNED_DATA, content: Any::encode_from(&data)? }.to_der()
}

/// What is signed in place of the content: its kind, and its digest (RFC 5652 section 11).
fn attributes(digest: &[u8]) -> x509_cert::der::Result<Attributes> {
    let attribute = |oid, value: Any| -> x509_cert::der::Result<Attribute> {
        Ok(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
    };
    SetOfVec::try_from(vec![
        attribute(CONTENT_TYPE, Any::encode_from(&DATA)?)?,
        attribute(MESSAGE_DIGEST, Any::encode_from(&OctetString::new(digest)?)?)?,
    ])
}

/// A certificate that is written again byte for byte: its issuer's signature would not hold for another.
fn exactly(der: &[u8]) -> x509_cert::der::Result<Certificate> {
    let certificate = Certificate::from_der(der)?;
    if certificate.to_der()? == der {
        Ok(certificate)
    } else {
        Err(certificate.tbs_certificate.tag().value_error())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SignatureAlgorithm};
    use rustls::pki_types::PrivateKeyDer;

    use super::*;

    /// An authority, whose certificate is in `directory`, one below it, and a server's certificate below that.
    fn certified(kind: &'static SignatureAlgorithm, directory: &Path) -> CertifiedKey {
        let authority = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            (params, KeyPair::generate().unwrap())
        };
        let ((root, root_key), (middle, middle_key)) = (authority("the root"), authority("the middle"));
        std::fs::write(directory.join("root.pem"), root.self_signed(&root_key).unwrap().pem()).unwrap();
        let root = Issuer::new(root, root_key);
        let middle_certificate = middle.signed_by(&middle_key, &root).unwrap();
        let key = KeyPair::generate_for(kind).unwrap();
        let mut leaf = CertificateParams::new(vec!["mail.example.org".to_owned()]).unwrap();
        leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = leaf.signed_by(&key, &Issuer::new(middle, middle_key)).unwrap();
        let chain = vec![leaf.der().clone(), middle_certificate.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider()).unwrap()
    }

    /// What OpenSSL takes for signed by a server that the root stands for.
    fn verified(signed: &[u8], directory: &Path) -> Option<Vec<u8>> {
        let at = |name: &str| directory.join(name);
        std::fs::write(at("signed.der"), signed).unwrap();
        let openssl = Command::new("openssl")
            .args(["cms", "-verify", "-binary", "-inform", "DER", "-purpose", "sslserver", "-in"])
            .arg(at("signed.der"))
            .arg("-CAfile")
            .arg(at("root.pem"))
            .arg("-out")
            .arg(at("content"))
            .output()
            .unwrap();
        openssl.status.success().then(|| std::fs::read(at("content")).unwrap())
    }

    #[test]
    fn what_is_signed_is_verified_by_openssl_with_the_chain_that_is_in_it() {
        let kinds = [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ECDSA_P521_SHA512,
            &rcgen::PKCS_RSA_SHA256,
        ];
        for kind in kinds {
            let directory = tempfile::tempdir().unwrap();
            let with = certified(kind, directory.path());
            let content = "<plist>\n一\r\n</plist>\n".as_bytes();
            let made = signed(content, &with).unwrap();
            assert_eq!(verified(&made, directory.path()).as_deref(), Some(content), "{kind:?}");
            let at = made.windows(content.len()).position(|part| part == content).unwrap();
            let mut changed = made.clone();
            changed[at + 1] ^= 1;
            assert_eq!(verified(&changed, directory.path()), None, "{kind:?}");
            let elsewhere = tempfile::tempdir().unwrap();
            certified(kind, elsewhere.path());
            assert_eq!(verified(&made, elsewhere.path()), None, "another authority's");
        }
    }

    #[test]
    fn a_key_that_phones_do_not_know_signs_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let with = certified(&rcgen::PKCS_ED25519, directory.path());
        assert!(matches!(signed(b"x", &with), Err(Unsigned::Kind)));
    }

    #[test]
    fn what_is_no_certificate_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let mut with = certified(&rcgen::PKCS_ECDSA_P256_SHA256, directory.path());
        with.cert.push(b"\x30\x03\x02\x01\x01".to_vec().into());
        assert!(matches!(signed(b"x", &with), Err(Unsigned::Certificate(_))));
        with.cert.clear();
        assert!(matches!(signed(b"x", &with), Err(Unsigned::Certificate(_))));
    }
}
