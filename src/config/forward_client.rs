//! `forward_client` of `[[upstream]]`: how the server hears where a client comes from.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::document::Document;
use super::upstream::Upstream;

/// How a server hears where a client comes from. Whatever it is told is the gate's own knowledge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardClient {
    /// In the protocol's own way where the server offers it: IMAP `ID`, POP3 and SMTP `XCLIENT`.
    #[default]
    Auto,
    /// With a PROXY header, version 2, in front of everything else, which the server must expect.
    ProxyV2,
    /// IMAP `ID` where it is offered, and over POP3 and SMTP not at all.
    Id,
    /// POP3 and SMTP `XCLIENT` where it is offered, and over IMAP not at all.
    Xclient,
    /// Not at all.
    None,
}

impl ForwardClient {
    /// Notes in `document` where nothing that `upstream`, which is at `span`, speaks could be told so.
    pub(super) fn check(self, upstream: &Upstream, span: &Range<usize>, document: &mut Document<'_>) {
        let (word, needed, spoken) = match self {
            Self::Id => ("id", "`imap`", upstream.imap.is_some()),
            Self::Xclient => {
                ("xclient", "`pop3` or `smtp`", upstream.pop3.is_some() || upstream.smtp.is_some())
            }
            Self::Auto | Self::ProxyV2 | Self::None => return,
        };
        if !spoken {
            document.problem(
                span,
                &format!("`forward_client = \"{word}\"` needs {needed}, which this `[[upstream]]` does not have\nhint: write `\"auto\"`, which takes what the server offers"),
            );
        }
    }
}
