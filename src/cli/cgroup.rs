//! How much memory the control group of the process allows, where it says so: in a container that is the promise that
//! holds though nobody asked for one. Reads the kernel's files and changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

/// What is left to what the limit of the run does not count: a peak may pass it by 15%.
const SHARE: u64 = 85;

/// Where control groups are found.
const ROOT: &str = "/sys/fs/cgroup";

/// The limit that a run should keep to so that its control group never ends it. None where no group sets a limit.
pub(super) fn memory_limit() -> Option<u64> {
    let memberships = fs::read_to_string("/proc/self/cgroup").ok()?;
    let least = limit_files(&memberships, Path::new(ROOT)).iter().filter_map(|file| limit_in(file)).min()?;
    Some(least / 100 * SHARE)
}

/// The files that may hold a limit: of the group of the process and of each group around it, as `/proc/self/cgroup` names
/// them. In a container the group's own path may not be there, and its root is the group.
fn limit_files(memberships: &str, root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in memberships.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let (top, name) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|controller| controller == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let within = Path::new(path.trim_start_matches('/'));
        files.extend(within.ancestors().map(|group| top.join(group).join(name)));
    }
    files
}

/// The bytes that a file names; `max`, and the great number that stands for it, are no limit.
fn limit_in(file: &Path) -> Option<u64> {
    let bytes = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (bytes < 1 << 60).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_and_all_around_it_are_asked() {
        let one = |text: &str| {
            let files = limit_files(text, Path::new("/r"));
            files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(one("0::/a/b\n"), ["/r/a/b/memory.max", "/r/a/memory.max", "/r/memory.max"]);
        assert_eq!(
            one("3:cpu,memory:/x\n2:cpuset:/y\n"),
            ["/r/memory/x/memory.limit_in_bytes", "/r/memory/memory.limit_in_bytes"]
        );
        assert_eq!(one("nothing of the kind"), [""; 0]);
    }

    #[test]
    fn no_limit_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("memory.max");
        for (text, expected) in [("max\n", None), ("9223372036854771712\n", None), ("536870912\n", Some(536_870_912))] {
            fs::write(&file, text).unwrap();
            assert_eq!(limit_in(&file), expected, "{text}");
        }
        assert_eq!(limit_in(&folder.path().join("absent")), None);
    }
}
