//! What mail clients set themselves up from: an Apple configuration profile, Thunderbird's autoconfig, Outlook's
//! autodiscover.
//!
//! Hosts and ports come from the configuration alone. But for the profile, which opens a mailbox, everybody may read them:
//! they say what a port scan says, and of one address no more than of any other.

pub(super) mod apple;
pub(super) mod autoconfig;
pub(super) mod autodiscover;
mod cms;

pub(super) use cms::signed;
