//! How much memory a script may hold.
//!
//! Past the limit it gets an error that it can catch; without one the system would end the process, or an allocation that
//! fails. So the limit follows from the least of what the machine has, what this process may have (`ulimit -v`), and what
//! the control groups that it is in may have: those are how containers and service managers bound memory.

use std::fs;
use std::path::{Component, Path, PathBuf};

use rustix::process::{Resource, getrlimit};

/// What a machine is taken to have that does not say.
const UNKNOWN: u64 = 4 << 30;
/// The host itself needs some. To mlua, 0 would be no limit at all.
const LEAST: u64 = 4 << 20;

/// How many bytes the VM may hold: half of what there is.
pub(crate) fn limit() -> usize {
    let root = Path::new("/");
    let address_space = getrlimit(Resource::As).current;
    let least = [machine(root), groups(root), address_space].into_iter().flatten().min();
    usize::try_from((least.unwrap_or(UNKNOWN) / 2).max(LEAST)).unwrap_or(usize::MAX)
}

/// What the machine has. `root`: where the system's files are.
fn machine(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// The least that a group may have which this process is in: its own group, and every one that this is nested in.
fn groups(root: &Path) -> Option<u64> {
    let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
    let memberships = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let hierarchies = mounts.lines().filter_map(Hierarchy::parse);
    hierarchies.filter_map(|hierarchy| hierarchy.least(root, &memberships)).min()
}

/// A mounted tree of groups that bounds memory.
struct Hierarchy<'a> {
    /// The second version of control groups: one tree for all resources.
    is_unified: bool,
    /// The group that is mounted: a container may see its own one and those below, and no others.
    group: &'a str,
    mounted_at: PathBuf,
}

impl<'a> Hierarchy<'a> {
    /// A line of `/proc/self/mountinfo` (see proc_pid_mountinfo(5)): number, parent, device, root, mount point, options, any
    /// number of fields, a hyphen, kind, source, options of the file system.
    fn parse(line: &'a str) -> Option<Self> {
        let (of_mount, of_files) = line.split_once(" - ")?;
        let mut fields = of_mount.split(' ').skip(3);
        let (group, mounted_at) = (fields.next()?, fields.next()?);
        let mut fields = of_files.split(' ');
        let (kind, options) = (fields.next()?, fields.nth(1)?);
        let is_unified = kind == "cgroup2";
        let is_first = kind == "cgroup" && options.split(',').any(|option| option == "memory");
        (is_unified || is_first).then(|| Self {
            is_unified,
            group,
            mounted_at: PathBuf::from(unescape(mounted_at)),
        })
    }

    fn least(&self, root: &Path, memberships: &str) -> Option<u64> {
        // A line of `/proc/self/cgroup`: number of the hierarchy, its resources, the group.
        let own = memberships.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (resources, group) = (fields.next()?, fields.next()?);
            let is_it = if self.is_unified {
                resources.is_empty()
            } else {
                resources.split(',').any(|resource| resource == "memory")
            };
            is_it.then_some(group)
        })?;
        let top = root.join(self.mounted_at.strip_prefix("/").ok()?);
        let file = if self.is_unified { "memory.max" } else { "memory.limit_in_bytes" };
        let mut folder = top.join(below(own, self.group));
        let mut least = None;
        loop {
            let limit = fs::read_to_string(folder.join(file)).ok();
            // "max" is no number, and no limit.
            let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
            least = [least, limit].into_iter().flatten().min();
            if folder == top || !folder.pop() {
                return least;
            }
        }
    }
}

/// The path of a group from the one that is mounted. Where it is not below that, as when a container's groups are mounted
/// from outside, the mounted one is the best that can be seen.
fn below(own: &str, mounted: &str) -> PathBuf {
    let path = Path::new(own).strip_prefix(mounted).unwrap_or(Path::new(""));
    if path.components().all(|part| matches!(part, Component::Normal(_))) {
        path.to_owned()
    } else {
        PathBuf::new()
    }
}

/// A path as `mountinfo` writes it: with a space, a tab, a line break and a backslash in octal.
fn unescape(text: &str) -> String {
    [(r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", r"\")]
        .iter()
        .fold(text.to_owned(), |text, (escape, letter)| text.replace(escape, letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up tree of the system's files, gone when dropped.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("sunsocket-memory-{}-{name}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().expect("a folder")).expect("made");
                fs::write(path, text).expect("written");
            }
            Self(root)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const UNIFIED: &str = "29 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const FIRST: &str = "33 25 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                         36 25 0:31 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n";

    #[test]
    fn a_service_is_bounded_by_its_slice_as_well() {
        let slice = "sys/fs/cgroup/system.slice";
        for (own, outer, least) in [("300\n", "200\n", 200), ("100\n", "200\n", 100), ("max\n", "200\n", 200)]
        {
            let tree = Tree::new(
                "service",
                &[
                    ("proc/self/mountinfo", &format!("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n{UNIFIED}")),
                    ("proc/self/cgroup", "0::/system.slice/bot.service\n"),
                    (&format!("{slice}/bot.service/memory.max"), own),
                    (&format!("{slice}/memory.max"), outer),
                ],
            );
            assert_eq!(groups(&tree.0), Some(least));
        }
    }

    #[test]
    fn no_limit_is_none() {
        let tree = Tree::new(
            "unlimited",
            &[
                ("proc/self/mountinfo", UNIFIED),
                ("proc/self/cgroup", "0::/user.slice\n"),
                ("sys/fs/cgroup/user.slice/memory.max", "max\n"),
                ("proc/meminfo", "MemFree: 1 kB\nMemTotal:       2048 kB\n"),
            ],
        );
        assert_eq!(groups(&tree.0), None);
        assert_eq!(machine(&tree.0), Some(2 << 20));
        let nothing = Tree::new("nothing", &[("proc/self/cgroup", "0::/\n")]);
        assert_eq!((groups(&nothing.0), machine(&nothing.0)), (None, None));
    }

    #[test]
    fn a_container_sees_its_own_group_as_the_root() {
        let tree = Tree::new(
            "container",
            &[
                ("proc/self/mountinfo", UNIFIED),
                ("proc/self/cgroup", "0::/\n"),
                ("sys/fs/cgroup/memory.max", "536870912\n"),
            ],
        );
        assert_eq!(groups(&tree.0), Some(512 << 20));
    }

    #[test]
    fn a_group_outside_of_what_is_mounted_counts_as_the_mounted_one() {
        for own in ["/../other", "/elsewhere", "/docker/abcdef"] {
            let tree = Tree::new(
                "outside",
                &[
                    ("proc/self/mountinfo", &UNIFIED.replace(" / /sys", " /docker/abc /sys")),
                    ("proc/self/cgroup", &format!("0::{own}\n")),
                    ("sys/fs/cgroup/memory.max", "77\n"),
                    ("sys/fs/other/memory.max", "1\n"),
                ],
            );
            assert_eq!(groups(&tree.0), Some(77), "{own}");
        }
    }

    #[test]
    fn the_first_version_has_a_tree_for_memory() {
        let tree = Tree::new(
            "first",
            &[
                ("proc/self/mountinfo", &FIRST.replace("0:31 / ", "0:31 /docker/abc ")),
                (
                    "proc/self/cgroup",
                    "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc/nested\n1:name=systemd:/x\n",
                ),
                ("sys/fs/cgroup/memory/nested/memory.limit_in_bytes", "9223372036854771712\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"),
                ("sys/fs/cgroup/cpu/nested/memory.limit_in_bytes", "1\n"),
            ],
        );
        assert_eq!(groups(&tree.0), Some(256 << 20));
    }

    #[test]
    fn where_both_versions_are_mounted_the_least_counts() {
        let tree = Tree::new(
            "both",
            &[
                (
                    "proc/self/mountinfo",
                    &format!("{FIRST}{}", UNIFIED.replace("cgroup rw", "cgroup/all\\040of rw")),
                ),
                ("proc/self/cgroup", "4:memory:/a\n0::/b\n"),
                ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "500\n"),
                ("sys/fs/cgroup/all of/b/memory.max", "400\n"),
            ],
        );
        assert_eq!(groups(&tree.0), Some(400));
    }

    #[test]
    fn a_line_that_is_none_is_left_out() {
        for line in ["", "a b c", "1 2 3 / /x rw - cgroup2", "1 2 3 / - cgroup2 cgroup2 rw", "1 - - - - - -"]
        {
            assert!(Hierarchy::parse(line).is_none(), "{line}");
        }
    }

    #[test]
    fn this_very_machine_says_something() {
        assert!(limit() >= LEAST as usize);
        assert!(machine(Path::new("/")).is_some());
    }
}
