//! The page that Prometheus reads: its text format, version 0.0.4.

use std::fmt::Write as _;
use std::time::Duration;

use super::table::{Kind, Metric};
use crate::meters::Reading;

/// How the page is announced.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page that is being written.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    /// Whose lines are being written: they must stand together.
    of: Option<&'static str>,
}

impl Page {
    /// One number; `labels` in the order in which the table names them.
    pub(super) fn number(&mut self, metric: &Metric, labels: &[&str], value: impl Into<f64>) {
        self.head(metric);
        let labels = labelled(metric, labels, None);
        let _ = writeln!(self.text, "{}{labels} {}", metric.name, value.into());
    }

    /// One count. Beyond 2^53 the format itself counts inexactly.
    pub(super) fn count(&mut self, metric: &Metric, labels: &[&str], value: u64) {
        self.head(metric);
        let labels = labelled(metric, labels, None);
        let _ = writeln!(self.text, "{}{labels} {value}", metric.name);
    }

    /// One duration.
    pub(super) fn seconds(&mut self, metric: &Metric, labels: &[&str], value: Duration) {
        self.number(metric, labels, value.as_secs_f64());
    }

    /// All steps of a histogram.
    pub(super) fn histogram(&mut self, metric: &Metric, labels: &[&str], reading: &Reading) {
        self.head(metric);
        for (step, count) in &reading.no_longer_than {
            let end = Duration::from_millis(*step).as_secs_f64().to_string();
            let labels = labelled(metric, labels, Some(&end));
            let _ = writeln!(self.text, "{}_bucket{labels} {count}", metric.name);
        }
        let all = labelled(metric, labels, Some("+Inf"));
        let labels = labelled(metric, labels, None);
        let (name, sum, count) = (metric.name, reading.sum.as_secs_f64(), reading.count);
        let _ = writeln!(
            self.text,
            "{name}_bucket{all} {count}\n{name}_sum{labels} {sum}\n{name}_count{labels} {count}"
        );
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn head(&mut self, metric: &Metric) {
        if self.of != Some(metric.name) {
            self.of = Some(metric.name);
            let Metric { name, kind, help, .. } = metric;
            let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
        }
        debug_assert!(metric.kind != Kind::Counter || metric.name.ends_with("_total"), "{}", metric.name);
    }
}

fn labelled(metric: &Metric, values: &[&str], step: Option<&str>) -> String {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let names = metric.labels.iter().map(|(name, _)| *name).chain(["le"]);
    let labels = names.zip(values.iter().copied().chain(step));
    let labels: Vec<_> = labels.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::table::{ATTEMPTS, AUDIT_LAG, UPSTREAM_SECONDS};
    use super::*;
    use crate::meters::Histogram;

    #[test]
    fn lines_of_a_metric_stand_together_under_its_head() {
        let mut page = Page::default();
        page.count(&ATTEMPTS, &["imap", "admitted"], 3);
        page.count(&ATTEMPTS, &["imap", "refused"], 0);
        page.seconds(&AUDIT_LAG, &[], Duration::from_millis(1_500));
        assert_eq!(
            page.into_text(),
            "# HELP mailward_attempts_total Attempts to log in, by what became of them.\n\
             # TYPE mailward_attempts_total counter\n\
             mailward_attempts_total{protocol=\"imap\",outcome=\"admitted\"} 3\n\
             mailward_attempts_total{protocol=\"imap\",outcome=\"refused\"} 0\n\
             # HELP mailward_audit_lag_seconds How long the oldest record has been waiting that the database does not know of yet.\n\
             # TYPE mailward_audit_lag_seconds gauge\n\
             mailward_audit_lag_seconds 1.5\n"
        );
    }

    #[test]
    fn a_histogram_has_its_steps_its_sum_and_its_count_and_a_label_is_escaped() {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_millis(20));
        histogram.observe(Duration::from_secs(40));
        let mut page = Page::default();
        page.histogram(&UPSTREAM_SECONDS, &["a\"b\\", "imap"], &histogram.read());
        let text = page.into_text();
        let lines: Vec<_> = text.lines().skip(2).collect();
        let labels = r#"upstream="a\"b\\",protocol="imap""#;
        let name = "mailward_upstream_login_seconds";
        assert_eq!(lines[0], format!("{name}_bucket{{{labels},le=\"0.01\"}} 0"));
        assert_eq!(lines[1], format!("{name}_bucket{{{labels},le=\"0.025\"}} 1"));
        assert_eq!(lines[11], format!("{name}_bucket{{{labels},le=\"+Inf\"}} 2"));
        assert_eq!(
            lines[12..],
            [format!("{name}_sum{{{labels}}} 40.02"), format!("{name}_count{{{labels}}} 2")]
        );
    }
}
