//! `[portal]`: for now only where it will be, for the hints in refusals.

/// The self-service portal.
#[derive(Clone, Debug)]
pub struct Portal {
    /// An `https://` URL, ASCII, without trailing slash.
    pub public_url: String,
}
