//! Going over to other rules while attempts are in flight and sessions live.
//!
//! What is known of the past stays: what was charged, who is known, what was proven, how slow an upstream is. Only
//! what must not outlive the old rules ends: sessions whose account no longer leads to their upstream.

use super::authenticator::{Authenticator, Gate};
use super::live::Cause;
use super::rules::{Reading, Rules};
use super::timing::RefusalTime;

impl Authenticator {
    /// From now on `rules` hold. Returns how many sessions were told to end, because their upstream is withdrawn. Those
    /// of accounts whose domain leads elsewhere now end with the next [`Authenticator::hear_changes`], unless they were
    /// moved to where they are.
    ///
    /// Attempts of connections that came by another reading are turned away from now on, so whoever opens the doors of
    /// this one does so at once.
    pub fn adopt(&self, rules: Rules) -> usize {
        self.gate.adopt(rules)
    }

    /// Which reading of the configuration is in force.
    #[must_use]
    pub fn reading(&self) -> Reading {
        self.gate.desk.rules.of_reading().0
    }
}

impl Gate {
    fn adopt(&self, rules: Rules) -> usize {
        let limits = &rules.limits;
        self.desk.turns.adopt(limits);
        self.budgets.adopt(&rules.upstreams);
        self.desk.meters.adopt(rules.upstreams.iter().map(|upstream| upstream.name.clone()));
        self.watch.adopt(&limits.exempt);
        self.registry.allow(limits.sessions_per_account);
        self.proofs().keep_for(limits.proof_cache);
        self.adopt_refusal_times(&rules);
        // Before sessions end: who enters now looks at these once more when it has its place.
        let rules = self.desk.rules.replace(rules);
        let mut ended = 0;
        let mut unclear = Vec::new();
        for session in self.registry.all() {
            if !rules.lead(&session) {
                ended += 1;
                self.registry.end(session.account, Cause::UpstreamWithdrawn, |one| one.id == session.id);
            } else if rules.home_of(&session.address).as_ref() != Some(&session.upstream) {
                unclear.push(session.account);
            }
        }
        // Not to wait for a database: whoever hears it next judges them.
        self.to_judge().extend(unclear);
        ended
    }

    fn adopt_refusal_times(&self, rules: &Rules) {
        let mut times = self.refusal_times();
        times.retain(|name, _| rules.upstream(name).is_some());
        for upstream in &rules.upstreams {
            let (floor, cap) = (rules.limits.failure_delay, upstream.login_deadline);
            match times.get_mut(&upstream.name) {
                Some(time) => time.bound(floor, cap),
                None => drop(times.insert(upstream.name.clone(), RefusalTime::new(floor, cap))),
            }
        }
    }
}
