//! Where a container's cgroup is, from what the kernel and runc say of it: ours must be the one in runc's own state.
//!
//! The first two are of real containers (containerd 1.6.20, runc 1.1.5), their names shortened. The rest is what runc's
//! cgroup managers make (libcontainer, cgroups/fs, fs2 and systemd) of the paths that containerd, nerdctl and the kubelet
//! give it.

use std::path::PathBuf;

use super::*;
use crate::system::mounts;

const ID: &str = "a3730fe55b7ddbe2592bd41ef98880a2eca385214bb387d208e33f0369ced92d";
const FREEZER: &str = "37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer";
const PIDS: &str = "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids";
const SYSTEMD: &str = "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd";
const HYBRID: &str = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
const UNIFIED: &str = "24 18 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";

struct Record {
    what: &'static str,
    mounts: &'static [&'static str],
    /// Of `/proc/PID/cgroup`, `ID` standing for the container's.
    membership: &'static str,
    cgroups_path: Option<&'static str>,
    /// In runc's state.json, below `cgroup_paths`: of `freezer`, or of the empty name. `None` where we cannot get there.
    state: Option<(Version, &'static str)>,
}

const RECORDS: [Record; 18] = [
    Record {
        what: "a hybrid hierarchy, cgroupfs (recorded)",
        mounts: &[PIDS, FREEZER, SYSTEMD, HYBRID],
        membership: "9:name=systemd:/ns/ID\n8:pids:/ns/ID\n6:freezer:/ns/ID\n0::/ns/ID\n",
        cgroups_path: Some("/ns/ID"),
        state: Some((Version::One, "/sys/fs/cgroup/freezer/ns/ID")),
    },
    Record {
        what: "a unified hierarchy, cgroupfs (recorded)",
        mounts: &[UNIFIED],
        membership: "0::/ns/ID\n",
        cgroups_path: Some("/ns/ID"),
        state: Some((Version::Two, "/sys/fs/cgroup/ns/ID")),
    },
    Record {
        what: "version 1 alone, systemd",
        mounts: &[PIDS, FREEZER, SYSTEMD],
        membership: "5:freezer:/system.slice/nerdctl-ID.scope\n1:name=systemd:/system.slice/nerdctl-ID.scope\n",
        cgroups_path: Some("system.slice:nerdctl:ID"),
        state: Some((
            Version::One,
            "/sys/fs/cgroup/freezer/system.slice/nerdctl-ID.scope",
        )),
    },
    Record {
        what: "a hybrid hierarchy without a freezer of version 1",
        mounts: &[PIDS, SYSTEMD, HYBRID],
        membership: "8:pids:/ns/ID\n0::/ns/ID\n",
        cgroups_path: Some("/ns/ID"),
        state: Some((Version::Two, "/sys/fs/cgroup/unified/ns/ID")),
    },
    Record {
        what: "version 1, and its process further down than its cgroup",
        mounts: &[FREEZER],
        membership: "5:freezer:/ns/ID/inside/ID\n",
        cgroups_path: Some("/ns/ID"),
        state: Some((Version::One, "/sys/fs/cgroup/freezer/ns/ID")),
    },
    Record {
        what: "unified, systemd, and a systemd inside",
        mounts: &[UNIFIED],
        membership: "0::/system.slice/nerdctl-ID.scope/init.scope\n",
        cgroups_path: Some("system.slice:nerdctl:ID"),
        state: Some((Version::Two, "/sys/fs/cgroup/system.slice/nerdctl-ID.scope")),
    },
    Record {
        what: "a pod's container, systemd",
        mounts: &[UNIFIED],
        membership: "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7.slice/cri-containerd-ID.scope\n",
        cgroups_path: Some("kubepods-burstable-pod7.slice:cri-containerd:ID"),
        state: Some((
            Version::Two,
            "/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7.slice/cri-containerd-ID.scope",
        )),
    },
    Record {
        what: "a pod's container, cgroupfs",
        mounts: &[FREEZER, HYBRID],
        membership: "4:freezer:/kubepods/burstable/pod7/ID\n0::/kubepods/burstable/pod7/ID\n",
        cgroups_path: Some("/kubepods/burstable/pod7/ID"),
        state: Some((
            Version::One,
            "/sys/fs/cgroup/freezer/kubepods/burstable/pod7/ID",
        )),
    },
    Record {
        what: "a slice for a name",
        mounts: &[UNIFIED],
        membership: "0::/machine.slice/machine-web.slice\n",
        cgroups_path: Some("machine.slice::machine-web.slice"),
        state: Some((
            Version::Two,
            "/sys/fs/cgroup/machine.slice/machine-web.slice",
        )),
    },
    Record {
        what: "a user's delegated part, systemd",
        mounts: &[UNIFIED],
        membership: "0::/user.slice/user-1000.slice/user@1000.service/user.slice/nerdctl-ID.scope\n",
        cgroups_path: Some("user.slice:nerdctl:ID"),
        state: Some((
            Version::Two,
            "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/user.slice/nerdctl-ID.scope",
        )),
    },
    Record {
        what: "a path relative to the runtime's own cgroup",
        mounts: &[UNIFIED],
        membership: "0::/system.slice/containerd.service/ns/ID\n",
        cgroups_path: Some("ns/ID"),
        state: Some((
            Version::Two,
            "/sys/fs/cgroup/system.slice/containerd.service/ns/ID",
        )),
    },
    Record {
        what: "no path, so runc's own choice",
        mounts: &[FREEZER],
        membership: "5:freezer:/ID\n",
        cgroups_path: None,
        state: Some((Version::One, "/sys/fs/cgroup/freezer/ID")),
    },
    Record {
        what: "an empty path",
        mounts: &[UNIFIED],
        membership: "0::/system.slice/runc-ID.scope/payload\n",
        cgroups_path: Some(""),
        state: Some((Version::Two, "/sys/fs/cgroup/system.slice/runc-ID.scope")),
    },
    Record {
        what: "a part of the hierarchy mounted first, the whole of it later",
        mounts: &[
            "20 18 0:22 /ns/ID/inside /mnt rw - cgroup2 cgroup2 rw",
            UNIFIED,
        ],
        membership: "0::/ns/ID/inside\n",
        cgroups_path: Some("/ns/ID"),
        state: Some((Version::Two, "/sys/fs/cgroup/ns/ID")),
    },
    Record {
        what: "the part that holds the container, and nothing else, mounted",
        mounts: &["20 18 0:34 /ns /mnt/freezer rw - cgroup cgroup rw,freezer"],
        membership: "5:freezer:/ns/ID\n",
        cgroups_path: Some("/ns/ID"),
        state: Some((Version::One, "/mnt/freezer/ID")),
    },
    Record {
        what: "our cgroup namespace below, the host's hierarchy mounted",
        mounts: &[
            "20 18 0:22 /../.. /host/cgroup rw - cgroup2 cgroup2 rw",
            UNIFIED,
        ],
        membership: "0::/../../ns/ID\n",
        cgroups_path: Some("/ns/ID"),
        state: Some((Version::Two, "/host/cgroup/ns/ID")),
    },
    Record {
        what: "our cgroup namespace below, nothing but its own part mounted",
        mounts: &[UNIFIED],
        membership: "0::/../ns/ID\n",
        cgroups_path: Some("/ns/ID"),
        state: None,
    },
    Record {
        what: "a process that somebody has moved elsewhere",
        mounts: &[UNIFIED],
        membership: "0::/elsewhere\n",
        cgroups_path: Some("/ns/ID"),
        state: None,
    },
];

#[test]
fn a_containers_cgroup_is_the_one_that_runc_says() {
    for record in RECORDS {
        let lines = record.mounts.iter();
        let mounts: Vec<_> = lines
            .map(|line| mounts::parse(line.as_bytes()).unwrap())
            .collect();
        let whole = |text: &str| text.replace("ID", ID);
        let cgroups_path = record.cgroups_path.map(whole);
        let found = Cgroup::locate(
            &mounts,
            &whole(record.membership),
            ID,
            cgroups_path.as_deref(),
        );
        let found = found.map(|cgroup| (cgroup.version, cgroup.directory));
        let wanted = record
            .state
            .map(|(version, path)| (version, PathBuf::from(whole(path))));
        assert_eq!(found, wanted, "{}", record.what);
    }
}
