//! Why sessions end, as the audit trail names it.

use crate::gate::Cause;

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    ClientClosed,
    UpstreamClosed,
    Idle,
    Drained,
    Error,
    /// By the gate.
    Ended(Cause),
}

impl Reason {
    /// The name in the audit trail.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::UpstreamClosed => "upstream_closed",
            Self::Idle => "idle",
            Self::Drained => "drained",
            Self::Error => "error",
            Self::Ended(cause) => cause.as_str(),
        }
    }
}
