//! `[server]`

use std::path::PathBuf;

use crate::base::Language;

/// Who we are and where we keep things.
#[derive(Clone, Debug)]
pub struct Server {
    /// The name clients are told: a host name, ASCII.
    pub hostname: String,
    /// Key file and database live here; created with mode 0700.
    pub data_dir: PathBuf,
    /// `refusal_text = "en" | "zh"`; English by default.
    pub refusal_text: Language,
}
