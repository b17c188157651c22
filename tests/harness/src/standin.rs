//! A stand-in for nerdctl, made of `ctr`, for machines that have no nerdctl.
//!
//! It has the subcommands that the tests use, and a `commit` that does what stock does
//! through containerd's own differ: a global sync, the pause held throughout, and the
//! true `archive/tar: write too long` without it. What was seen only with the stand-in
//! is not to be claimed for nerdctl; its version says what it is.

mod commit;
mod containers;
mod images;
mod options;
mod run;

use crate::Result;
use crate::ctr::Ctr;
use anyhow::{Context, bail};
use options::Options;
use std::env;

/// The exit code of a call with these arguments.
pub fn call(arguments: &[String]) -> Result<i32> {
    let globals = Options::parse(arguments, GLOBAL_VALUES, true)?;
    let words = globals.words.clone();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if globals.has("--version") || words.first() == Some(&"version") {
        println!("nerdctl version 0.0.0, a stand-in made of ctr");
        return Ok(0);
    }
    StandIn::new(&globals).dispatch(&words)
}

const GLOBAL_VALUES: &[&str] = &[
    "--address",
    "--host",
    "-a",
    "-H",
    "--namespace",
    "-n",
    "--snapshotter",
    "--storage-driver",
    "--data-root",
    "--cgroup-manager",
    "--cni-path",
    "--cni-netconfpath",
    "--hosts-dir",
];

struct StandIn {
    ctr: Ctr,
    snapshotter: String,
}

impl StandIn {
    fn new(globals: &Options) -> Self {
        let setting = |names: &[&str], variable: &str, default: &str| {
            let typed = names.iter().find_map(|name| globals.value(name));
            typed
                .map(str::to_owned)
                .or_else(|| env::var(variable).ok())
                .unwrap_or(default.into())
        };
        let address = ["--address", "-a", "--host", "-H"];
        let address = setting(
            &address,
            "CONTAINERD_ADDRESS",
            "/run/containerd/containerd.sock",
        );
        let address = address.trim_start_matches("unix://").to_owned();
        let namespace = setting(&["--namespace", "-n"], "CONTAINERD_NAMESPACE", "default");
        let snapshotter = ["--snapshotter", "--storage-driver"];
        let snapshotter = setting(&snapshotter, "CONTAINERD_SNAPSHOTTER", "overlayfs");
        Self {
            ctr: Ctr { address, namespace },
            snapshotter,
        }
    }

    fn dispatch(&self, words: &[&str]) -> Result<i32> {
        match words {
            ["container", rest @ ..] => self.container(rest),
            ["image", "rm", rest @ ..] | ["rmi", rest @ ..] => self.remove_images(rest),
            ["images" | "image", ..] => self.list_images(),
            ["load", rest @ ..] => self.load(rest),
            ["pull", rest @ ..] => self.pull(rest),
            ["save", rest @ ..] => self.save(rest),
            rest => self.container(rest),
        }
    }

    fn container(&self, words: &[&str]) -> Result<i32> {
        let (command, rest) = words
            .split_first()
            .context("a stand-in wants a subcommand")?;
        match *command {
            "run" => self.run(rest),
            "start" => self.start(rest),
            "exec" => self.exec(rest),
            "inspect" => self.inspect(rest),
            "pause" => self.each(rest, |id| self.ctr.run(&["tasks", "pause", id])),
            "unpause" => self.each(rest, |id| self.ctr.run(&["tasks", "resume", id])),
            "stop" => self.stop(rest),
            "rm" => self.remove(rest),
            "logs" => self.logs(rest),
            "ps" => self.list_containers(rest),
            "commit" => self.commit(rest),
            other => bail!("unknown subcommand {other:?} for the stand-in of nerdctl"),
        }
    }
}
