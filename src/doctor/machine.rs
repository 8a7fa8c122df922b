//! What the machine gives the gate.

use super::{Area, Report};
use crate::config::Config;
use crate::proxy::descriptors;
use crate::web::browsers;

const AREA: Area = Area::Machine;

pub(super) fn look(config: &Config, report: &mut Report) {
    let (needed, most) =
        (descriptors::needed(config.limits.connections, browsers(config)), descriptors::most());
    let connections = config.limits.connections;
    if most >= needed {
        report.good(
            AREA,
            "open files",
            format!("may be as many as {connections} connections need ({needed}), as seen from this shell"),
        );
        return;
    }
    report.doubtful(
        AREA,
        "open files",
        format!("{connections} connections need {needed}, and this shell may have {most}; a service has a limit of its own, which is not seen from here"),
        format!("the unit should say `LimitNOFILE={needed}` or more; the gate serves as many as it gets, and logs that at its start"),
    );
}
