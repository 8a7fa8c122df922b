//! Every address of the portal and who answers there. What shows something is a GET, what changes something a POST that
//! carries its session's form token; what no session is looked at for stands last.

mod app_passwords;
mod apple;
mod binding;
mod browsers;
mod discovery;
mod enrol;
mod factors;
mod guides;
mod home;
mod own_files;
mod passkey;
mod sign_in;
#[cfg(test)]
mod tests;
mod verify;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::answer::Stop;
use super::desk::Desk;
use super::pages::error::Wrong;

/// All of them.
pub(super) fn all() -> Router<Arc<Desk>> {
    Router::new()
        .route("/", get(home::show))
        .route("/sign-in", get(sign_in::show).post(sign_in::take))
        .route("/sign-in/passkey", get(passkey::ask).post(passkey::take))
        .route("/second-factor", get(sign_in::ask_factor).post(sign_in::take_factor))
        .route("/trust", get(sign_in::ask_trust).post(sign_in::take_trust))
        .route("/sign-out", post(sign_in::leave))
        .route("/verify", get(verify::ask).post(verify::take))
        .route("/second-factors", get(factors::show))
        .route("/second-factors/first", get(factors::show_first))
        .route("/second-factors/new", get(binding::choose))
        .route("/enrol/{link}", get(enrol::follow))
        .route("/second-factors/totp", get(binding::offer_totp).post(binding::bind_totp))
        .route("/second-factors/mailbox", get(binding::offer_mailbox).post(binding::bind_mailbox))
        .route("/second-factors/passkey", get(binding::offer_passkey).post(binding::bind_passkey))
        .route("/second-factors/recovery", post(factors::renew_codes))
        .route("/second-factors/{id}/rename", get(factors::ask_name).post(factors::rename))
        .route("/second-factors/{id}/change", get(binding::offer_change).post(binding::change))
        .route("/second-factors/{id}/unbind", get(factors::ask_unbind).post(factors::unbind))
        .route("/app-passwords", get(app_passwords::list))
        .route("/app-passwords/new", get(app_passwords::form).post(app_passwords::create))
        .route(
            "/app-passwords/delete-all",
            get(app_passwords::ask_delete_all).post(app_passwords::delete_all),
        )
        .route("/app-passwords/{id}", get(app_passwords::show))
        .route("/app-passwords/{id}/rename", post(app_passwords::rename))
        .route("/app-passwords/{id}/delete", post(app_passwords::delete))
        .route("/app-passwords/{id}/try", get(app_passwords::watch))
        .route("/sessions/{id}/end", post(browsers::end_session))
        .route("/devices/{id}/remove", post(browsers::remove_device))
        .route("/browsers/{id}/end", post(browsers::end_browser))
        .route("/lock", get(browsers::ask_lock).post(browsers::lock))
        .route("/guides", get(guides::list))
        .route("/guides/{slug}", get(guides::show))
        .route("/language", post(own_files::choose_language))
        .route("/assets/{name}", get(own_files::asset))
        .route("/apple/profile/{link}", get(apple::show).post(apple::fetch))
        .route("/.well-known/autoconfig/mail/config-v1.1.xml", get(discovery::autoconfig))
        .route("/mail/config-v1.1.xml", get(discovery::autoconfig))
        .route("/autodiscover/autodiscover.xml", get(discovery::about).post(discovery::autodiscover))
        .route("/Autodiscover/Autodiscover.xml", get(discovery::about).post(discovery::autodiscover))
}

/// What a device's link begins with.
pub(super) const BY_LINK: &str = "/apple/profile/";

/// Whether a mail client asks for it, on its own and at the root of whatever host leads here.
pub(super) fn is_of_clients(path: &str) -> bool {
    let asked = ["/.well-known/autoconfig/", "/mail/config-", "/autodiscover/", "/Autodiscover/"];
    asked.iter().any(|begin| path.starts_with(begin))
}

/// Whether nobody's session is looked at there, so that it matters to nobody where a form comes from: what is answered
/// follows from what is asked, or from a link that whoever sends the form has to know.
pub(super) fn is_without_session(path: &str) -> bool {
    is_of_clients(path) || is_secret(path)
}

/// Whether the address itself is the secret, that no page may be told of which is opened from there.
pub(super) fn is_secret(path: &str) -> bool {
    path.starts_with(BY_LINK)
}

/// An identifier; whatever is none names nothing.
fn parsed<T: std::str::FromStr>(id: &str) -> Result<T, Stop> {
    id.parse().map_err(|_| Stop::Wrong(Wrong::Missing))
}
