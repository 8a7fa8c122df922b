//! Pages for what went wrong: each says what to do next, and none says more than that.

use askama::Template;

use crate::meters::PageAnswer;
use crate::web::page::Page;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Wrong {
    /// A request that makes no sense.
    Request,
    /// A form that is not from one of our pages.
    Origin,
    /// Nothing is there.
    Missing,
    /// Something is there, but not for this.
    Method,
    /// More than any form holds.
    TooLarge,
    /// More often than any person would.
    TooOften,
    /// Our fault.
    Ours,
    /// Something behind us does not answer.
    Unavailable,
}

impl Wrong {
    /// Every one.
    #[cfg(test)]
    pub(in crate::web) const ALL: [Self; 8] = [
        Self::Request,
        Self::Origin,
        Self::Missing,
        Self::Method,
        Self::TooLarge,
        Self::TooOften,
        Self::Ours,
        Self::Unavailable,
    ];

    /// The status, RFC 9110 section 15.
    pub(in crate::web) fn status(self) -> u16 {
        match self {
            Self::Request => 400,
            Self::Origin => 403,
            Self::Missing => 404,
            Self::Method => 405,
            Self::TooLarge => 413,
            Self::TooOften => 429,
            Self::Ours => 500,
            Self::Unavailable => 503,
        }
    }

    /// In the metrics.
    pub(in crate::web) fn counts_as(self) -> PageAnswer {
        match self {
            Self::Origin => PageAnswer::Foreign,
            Self::Request | Self::Missing | Self::Method | Self::TooLarge => PageAnswer::Senseless,
            Self::TooOften => PageAnswer::Limited,
            Self::Ours | Self::Unavailable => PageAnswer::Failed,
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Request => ("error-400-title", "error-400-lead"),
            Self::Origin => ("error-403-title", "error-403-lead"),
            Self::Missing => ("error-404-title", "error-404-lead"),
            Self::Method => ("error-405-title", "error-405-lead"),
            Self::TooLarge => ("error-413-title", "error-413-lead"),
            Self::TooOften => ("error-429-title", "error-429-lead"),
            Self::Ours => ("error-500-title", "error-500-lead"),
            Self::Unavailable => ("error-503-title", "error-503-lead"),
        }
    }
}

/// The page.
#[derive(Template)]
#[template(path = "error.html")]
pub(in crate::web) struct ErrorPage {
    page: Page,
    title: &'static str,
    lead: &'static str,
    code: String,
}

impl ErrorPage {
    /// For `wrong`.
    pub(in crate::web) fn new(page: Page, wrong: Wrong) -> Self {
        let (title, lead) = wrong.words();
        Self { page, title, lead, code: wrong.status().to_string() }
    }
}
