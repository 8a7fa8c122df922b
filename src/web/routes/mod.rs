//! Every address of the portal and who answers there. What shows something is a GET, what changes something a POST that
//! carries its session's form token.

mod app_passwords;
mod binding;
mod browsers;
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
        .route("/second-factors/totp", get(binding::offer_totp).post(binding::bind_totp))
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
}

/// An identifier; whatever is none names nothing.
fn parsed<T: std::str::FromStr>(id: &str) -> Result<T, Stop> {
    id.parse().map_err(|_| Stop::Wrong(Wrong::Missing))
}
