//! The flags that `nerdctl commit` knows (nerdctl 2.3: cmd/nerdctl/main.go and `container/container_commit.go`), and ours.

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing, or a truth value after `=`.
    Boolean,
    Text,
    Number,
}

/// Where a flag may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Only before the first subcommand.
    Root,
    /// Before or after the subcommands.
    Anywhere,
    /// After `commit`.
    Commit,
}

/// One flag. Several names may set the same thing: `sets` is the name that the rest of the program uses.
#[derive(Debug)]
pub struct Flag {
    pub long: &'static str,
    pub short: Option<char>,
    pub takes: Takes,
    pub place: Place,
    pub sets: &'static str,
    pub help: &'static str,
}

const fn root(long: &'static str, short: Option<char>, sets: &'static str) -> Flag {
    Flag {
        long,
        short,
        takes: Takes::Text,
        place: Place::Root,
        sets,
        help: "",
    }
}

const fn global(long: &'static str, takes: Takes, help: &'static str) -> Flag {
    alias(long, takes, long, help)
}

const fn alias(long: &'static str, takes: Takes, sets: &'static str, help: &'static str) -> Flag {
    Flag {
        long,
        short: None,
        takes,
        place: Place::Anywhere,
        sets,
        help,
    }
}

const fn commit(long: &'static str, short: Option<char>, takes: Takes, help: &'static str) -> Flag {
    Flag {
        long,
        short,
        takes,
        place: Place::Commit,
        sets: long,
        help,
    }
}

use Takes::{Boolean, Number, Text};

/// What is said of a flag that only the real nerdctl makes use of; such a flag is not shown.
pub const FOR_THE_REAL_ONE: &str = "for the real nerdctl";

pub const FLAGS: &[Flag] = &[
    root("a", Some('a'), "address"),
    root("H", Some('H'), "address"),
    root("n", Some('n'), "namespace"),
    global(
        "address",
        Text,
        "containerd's socket [env: CONTAINERD_ADDRESS] [default: /run/containerd/containerd.sock]",
    ),
    alias("host", Text, "address", "the same as --address"),
    global(
        "namespace",
        Text,
        "containerd's namespace [env: CONTAINERD_NAMESPACE] [default: default]",
    ),
    global(
        "snapshotter",
        Text,
        "without effect: the container's own snapshotter counts",
    ),
    alias(
        "storage-driver",
        Text,
        "snapshotter",
        "the same as --snapshotter",
    ),
    global("cni-path", Text, FOR_THE_REAL_ONE),
    global("cni-netconfpath", Text, FOR_THE_REAL_ONE),
    global("data-root", Text, FOR_THE_REAL_ONE),
    global("cgroup-manager", Text, FOR_THE_REAL_ONE),
    global("userns-remap", Text, FOR_THE_REAL_ONE),
    global("host-gateway-ip", Text, FOR_THE_REAL_ONE),
    global("bridge-ip", Text, FOR_THE_REAL_ONE),
    global("hosts-dir", Text, FOR_THE_REAL_ONE),
    global("cdi-spec-dirs", Text, FOR_THE_REAL_ONE),
    global("global-dns", Text, FOR_THE_REAL_ONE),
    global("global-dns-opts", Text, FOR_THE_REAL_ONE),
    global("global-dns-search", Text, FOR_THE_REAL_ONE),
    global(
        "debug",
        Boolean,
        "say what is done, and why, on standard error",
    ),
    global(
        "debug-full",
        Boolean,
        "the same, and all that the real nerdctl can say of itself",
    ),
    global("insecure-registry", Boolean, FOR_THE_REAL_ONE),
    global("experimental", Boolean, FOR_THE_REAL_ONE),
    global("kube-hide-dupe", Boolean, FOR_THE_REAL_ONE),
    global("selinux-enabled", Boolean, FOR_THE_REAL_ONE),
    commit(
        "author",
        Some('a'),
        Text,
        "the image's author [default: the base image's]",
    ),
    commit(
        "message",
        Some('m'),
        Text,
        "a comment for the image's history",
    ),
    commit(
        "change",
        Some('c'),
        Text,
        "apply Dockerfile instructions: CMD, ENTRYPOINT, ENV, LABEL and so on (repeatable)",
    ),
    commit(
        "pause",
        Some('p'),
        Boolean,
        "freeze the container for a consistent copy; else files may be from different moments [default: true]",
    ),
    commit("compression", None, Text, "gzip or zstd [default: gzip]"),
    commit("format", None, Text, "docker or oci [default: docker]"),
    commit(
        "estargz",
        None,
        Boolean,
        "an eStargz layer, by the real nerdctl",
    ),
    commit("estargz-compression-level", None, Number, "for --estargz"),
    commit("estargz-chunk-size", None, Number, "for --estargz"),
    commit("estargz-min-chunk-size", None, Number, "for --estargz"),
    commit(
        "zstdchunked",
        None,
        Boolean,
        "a zstd:chunked layer, by the real nerdctl",
    ),
    commit(
        "zstdchunked-compression-level",
        None,
        Number,
        "for --zstdchunked",
    ),
    commit("zstdchunked-chunk-size", None, Number, "for --zstdchunked"),
    commit(
        "report",
        None,
        Text,
        "write a JSON report to this file, or to standard output (-) [env: FREEZEFRAME_REPORT]",
    ),
    commit(
        "max-pause",
        None,
        Text,
        "how long a freeze may last, such as 200ms or 30s: needing more, the commit fails [env: FREEZEFRAME_MAX_PAUSE] [default: 4s]",
    ),
    Flag {
        short: Some('h'),
        ..global("help", Boolean, "show this help")
    },
    Flag {
        takes: Boolean,
        ..root("version", Some('v'), "version")
    },
];

pub fn by_long_name(name: &str, places: &[Place]) -> Option<&'static Flag> {
    FLAGS
        .iter()
        .find(|flag| flag.long == name && places.contains(&flag.place))
}

pub fn by_short_name(name: char, places: &[Place]) -> Option<&'static Flag> {
    FLAGS
        .iter()
        .find(|flag| flag.short == Some(name) && places.contains(&flag.place))
}
