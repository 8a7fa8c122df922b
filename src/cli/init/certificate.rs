//! A certificate to begin with, until there is one that clients trust.

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use time::Duration;
use zeroize::Zeroizing;

use crate::base::Timestamp;

/// Apple's devices refuse certificates that are good for longer.
const GOOD_FOR: Duration = Duration::days(825);

/// A certificate that vouches for itself.
pub(super) struct SelfSigned {
    /// The certificate, PEM.
    pub(super) pem: String,
    /// Its private key, PEM.
    pub(super) key_pem: Zeroizing<String>,
    /// The last day on which it is good.
    pub(super) good_until: time::Date,
}

/// One for `hostname`, ECDSA P-256, which every mail client of the last ten years takes.
pub(super) fn self_signed(hostname: &str, now: Timestamp) -> Result<SelfSigned, rcgen::Error> {
    let now = now.date_time();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new([hostname.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, hostname);
    params.not_before = now - Duration::hours(1); // clocks of devices are not exact
    params.not_after = now + GOOD_FOR - Duration::hours(2);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let good_until = params.not_after.date();
    let certificate = params.self_signed(&key)?;
    Ok(SelfSigned { pem: certificate.pem(), key_pem: Zeroizing::new(key.serialize_pem()), good_until })
}

#[cfg(test)]
mod tests {
    use x509_parser::pem::parse_x509_pem;

    use super::*;

    #[test]
    fn the_certificate_names_the_host_and_is_short_enough_for_every_client() {
        let now = Timestamp::from_unix_seconds(1_767_225_600);
        let made = self_signed("mail.example.org", now).unwrap();
        let (_, pem) = parse_x509_pem(made.pem.as_bytes()).unwrap();
        let certificate = pem.parse_x509().unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert!(format!("{:?}", names.value.general_names).contains("DNSName(\"mail.example.org\")"));
        let validity = certificate.validity();
        assert!(validity.not_after.timestamp() - validity.not_before.timestamp() <= 825 * 86_400);
        assert!(
            validity.is_valid_at(x509_parser::time::ASN1Time::from_timestamp(now.unix_seconds()).unwrap())
        );
        assert!(made.key_pem.starts_with("-----BEGIN PRIVATE KEY-----"));
    }
}
