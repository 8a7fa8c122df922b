//! What a reload puts another in the place of, for those who look each time.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::sign::CertifiedKey;

use super::Entrance;

/// Something that holds until it is replaced. Clones are the same.
pub struct InForce<T>(Arc<RwLock<Arc<T>>>);

/// The entrance that the next connection takes.
pub type EntranceInForce = InForce<Entrance>;

/// The certificate and key by which the portal is known.
pub type CertificateInForce = InForce<CertifiedKey>;

impl<T> InForce<T> {
    /// Begins with `this`.
    #[must_use]
    pub fn new(this: Arc<T>) -> Self {
        Self(Arc::new(RwLock::new(this)))
    }

    /// From now on `this`.
    pub fn adopt(&self, this: Arc<T>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = this;
    }

    /// That of this moment.
    pub(super) fn now(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Clone for InForce<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
