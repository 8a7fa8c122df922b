//! What the kernel says of this process, under the names that every exporter of Prometheus uses.

use std::fs;

/// Ticks of `/proc/self/stat` in a second: fixed at 100 for programs on every architecture of Linux.
const TICKS: f64 = 100.0;

/// What the process takes; what cannot be read is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) memory_bytes: Option<u64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) descriptors: Option<u64>,
    pub(super) descriptors_max: Option<u64>,
}

impl Process {
    /// Now.
    pub(super) fn read() -> Self {
        let text = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).ok();
        Self {
            memory_bytes: text("status").as_deref().and_then(memory),
            cpu_seconds: text("stat").as_deref().and_then(cpu),
            // One of them is the folder that is being read.
            descriptors: fs::read_dir("/proc/self/fd").ok().map(|all| (all.count() as u64).saturating_sub(1)),
            descriptors_max: text("limits").as_deref().and_then(descriptors_max),
        }
    }
}

fn memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// The name of the program, which comes before, may hold anything but ends with the last `)`.
fn cpu(stat: &str) -> Option<f64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some((f64::from(ticks()?) + f64::from(ticks()?)) / TICKS)
}

fn descriptors_max(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_process_is_read() {
        let Process { memory_bytes, cpu_seconds, descriptors, descriptors_max } = Process::read();
        assert!(memory_bytes.unwrap() > 1 << 20);
        assert!(cpu_seconds.unwrap() >= 0.0);
        assert!((3..descriptors_max.unwrap()).contains(&descriptors.unwrap()));
    }

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_move_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 100";
        assert_eq!(cpu(stat), Some(3.0));
    }
}
