//! Whether this gate can let people in: for the balancer before it, which sends them elsewhere while it cannot.
//!
//! Only what this node lacks and another may have counts. An upstream that is down is down for all nodes: to send
//! clients nowhere would turn *come again later* into *there is no such server*. So it is told, and does not count.

use std::time::Duration;

use serde::Serialize;

use super::Watched;
use crate::config::WhenFull;
use crate::proxy::upstream::HealthState;

/// The database has this long for its answer.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// For so long after a record could not be written nobody is sent here. Then one attempt shows whether it can be
/// again: nothing else would ever try.
const FAILED_FOR: Duration = Duration::from_secs(30);

/// What `/readyz` says.
#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    /// Whether it can let people in.
    pub(super) ready: bool,
    /// Why not; in words that say nothing about accounts.
    reasons: Vec<&'static str>,
    /// Does not count, see above.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    upstreams_down: Vec<String>,
}

/// What counts.
#[derive(Clone, Copy)]
struct Facts {
    draining: bool,
    database: Database,
    /// How long ago a record could not be written, and none since.
    trail_failed: Option<Duration>,
    when_full: WhenFull,
}

#[derive(Clone, Copy)]
enum Database {
    Answers,
    Fails,
    IsSilent,
}

impl Readiness {
    pub(super) async fn of(watched: &Watched) -> Self {
        let database = match tokio::time::timeout(ANSWER_MAX, watched.store.key_check()).await {
            Ok(Ok(_)) => Database::Answers,
            Ok(Err(_)) => Database::Fails,
            Err(_) => Database::IsSilent,
        };
        let reasons = Facts {
            draining: *watched.closing.borrow(),
            database,
            trail_failed: watched.audit.figures().failing,
            when_full: watched.gate.when_full(),
        }
        .reasons();
        let down = watched
            .upstreams
            .borrow()
            .health()
            .into_iter()
            .filter(|health| health.state == HealthState::Down);
        let upstreams_down = down
            .map(|health| format!("{}/{} at {}", health.upstream, health.protocol, health.address))
            .collect();
        Self { ready: reasons.is_empty(), reasons, upstreams_down }
    }
}

impl Facts {
    fn reasons(self) -> Vec<&'static str> {
        let failed_lately = self.trail_failed.is_some_and(|ago| ago < FAILED_FOR);
        let reasons = [
            self.draining.then_some("draining"),
            match self.database {
                Database::Answers => None,
                Database::Fails => Some("the database cannot be read"),
                Database::IsSilent => Some("the database does not answer in time"),
            },
            (failed_lately && self.when_full == WhenFull::Refuse)
                .then_some("the audit trail cannot be written"),
        ];
        reasons.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Facts = Facts {
        draining: false,
        database: Database::Answers,
        trail_failed: None,
        when_full: WhenFull::Refuse,
    };

    #[test]
    fn each_thing_that_keeps_people_out_is_told() {
        assert_eq!(WELL.reasons(), [] as [&str; 0]);
        let reasons = |facts: Facts| facts.reasons();
        assert_eq!(reasons(Facts { draining: true, ..WELL }), ["draining"]);
        assert_eq!(reasons(Facts { database: Database::Fails, ..WELL }), ["the database cannot be read"]);
        let silent = Facts { draining: true, database: Database::IsSilent, ..WELL };
        assert_eq!(reasons(silent), ["draining", "the database does not answer in time"]);
    }

    #[test]
    fn a_trail_that_failed_keeps_people_away_until_somebody_must_try_again() {
        let failed = |ago| Facts { trail_failed: Some(Duration::from_secs(ago)), ..WELL };
        assert_eq!(failed(29).reasons(), ["the audit trail cannot be written"]);
        assert_eq!(failed(30).reasons(), [] as [&str; 0]);
        let goes_on = Facts { when_full: WhenFull::Continue, ..failed(1) };
        assert_eq!(goes_on.reasons(), [] as [&str; 0], "nobody is kept out for it");
    }
}
