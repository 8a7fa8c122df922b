//! Whether the clock is right: codes of second factors are good for half a minute, certificates have dates, and the
//! trail says when.

use std::path::Path;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::{Area, Report};
use crate::base::{Clock, Timestamp};

const AREA: Area = Area::Machine;

/// What says that somebody keeps the clock right, and who that is.
const KEEPERS: [(&str, &str); 4] = [
    ("/run/systemd/timesync/synchronized", "systemd-timesyncd has set it"),
    ("/run/chrony/chronyd.pid", "chronyd is running (`chronyc tracking` says how well)"),
    ("/run/chrony/chronyd.sock", "chronyd is running (`chronyc tracking` says how well)"),
    ("/run/ntpd.pid", "ntpd is running (`ntpq -p` says how well)"),
];

/// One step of a one-time code (RFC 6238 section 5.2).
const DIFFERENCE_MAX: Duration = Duration::from_secs(30);

/// `dates` are what web servers of the upstreams say, by host.
pub(super) fn look(dates: &[(String, String)], clock: &dyn Clock, report: &mut Report) {
    match KEEPERS.into_iter().find(|(path, _)| Path::new(path).exists()) {
        Some((_, who)) => report.good(AREA, "clock", who),
        None => report.doubtful(
            AREA,
            "clock",
            "whether anybody keeps it right cannot be told: no sign of systemd-timesyncd, chronyd or ntpd",
            "one-time codes fail when it is off by half a minute: `timedatectl` says whether it is synchronised; in a container the host keeps it",
        ),
    }
    let now = clock.now();
    for (host, date) in dates {
        let Ok(theirs) = OffsetDateTime::parse(date, &Rfc2822).map(Timestamp::new) else { continue };
        let difference = now.since(theirs).max(theirs.since(now));
        if difference > DIFFERENCE_MAX {
            let found = format!(
                "the web server of {host} says another time: it differs by {} s",
                difference.as_secs()
            );
            report.doubtful(AREA, "clock", found, "one of the two is wrong: compare both with `date -u`");
        } else {
            report.good(AREA, "clock", format!("agrees with the web server of {host}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ManualClock;
    use crate::doctor::Mark;

    #[test]
    fn a_clock_that_differs_by_more_than_a_code_lasts_is_told() {
        let clock = ManualClock::default();
        let date = |seconds: i64| {
            let moment = Timestamp::from_unix_seconds(clock.now().unix_seconds() + seconds);
            moment.date_time().format(&Rfc2822).unwrap().replace("+0000", "GMT")
        };
        let dates = [
            ("old".to_owned(), date(29)),
            ("older".to_owned(), date(-90)),
            ("odd".to_owned(), "x".to_owned()),
        ];
        let mut report = Report::default();
        look(&dates, &clock, &mut report);
        let marks: Vec<_> = report.findings.iter().skip(1).map(|finding| finding.mark).collect();
        assert_eq!(marks, [Mark::Good, Mark::Doubtful]);
        assert!(report.findings[2].found.ends_with("older says another time: it differs by 90 s"));
    }
}
