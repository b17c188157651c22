//! The stand-in's `run`, `start` and `exec`.

use super::StandIn;
use super::images::full_reference;
use super::options::Options;
use crate::Result;
use crate::image::architecture;
use anyhow::{Context, bail};
use rustix::time::{ClockId, clock_gettime};
use std::env;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

const VALUES: &[&str] = &[
    "--name",
    "-v",
    "--volume",
    "--net",
    "--network",
    "--pid",
    "-e",
    "--env",
    "-w",
    "--workdir",
    "-l",
    "--label",
    "--stop-signal",
    "--tmpfs",
    "--snapshotter",
];

impl StandIn {
    pub fn run(&self, words: &[&str]) -> Result<i32> {
        let options = Options::parse(words, VALUES, true)?;
        let (image, words) = options.words.split_first().context("run wants an image")?;
        let id = new_id();
        let mut call = self.run_call(&options, &id)?;
        call.push(full_reference(image));
        call.push(id.clone());
        call.extend(words.iter().cloned());
        let status = self.ctr.command().args(&call).status()?;
        if is_detached(&options) && status.success() {
            println!("{id}");
        }
        Ok(status.code().unwrap_or(1))
    }

    fn run_call(&self, options: &Options, id: &str) -> Result<Vec<String>> {
        let mut call = vec![
            "run".to_owned(),
            "--snapshotter".into(),
            options
                .value("--snapshotter")
                .unwrap_or(&self.snapshotter)
                .to_owned(),
        ];
        // ctr asks for a share of its own accord, and not every hierarchy can give one.
        call.extend(["--cpu-shares".into(), "0".into()]);
        if is_detached(options) {
            call.extend(["--detach".into(), "--log-uri".into(), log_uri(id)?]);
        }
        if options.has("--rm") {
            call.push("--rm".into());
        }
        if options.has("--read-only") {
            call.push("--read-only".into());
        }
        if options.has("--privileged") {
            call.push("--privileged".into());
        }
        if options.value("--pid") == Some("host") {
            let own = format!("pid:/proc/{}/ns/pid", std::process::id());
            call.extend(["--with-ns".into(), own]);
        }
        for target in options.values("--tmpfs") {
            let mount = format!("type=tmpfs,src=tmpfs,dst={target},options=rw");
            call.extend(["--mount".into(), mount]);
        }
        if options.either("--network", "--net") == Some("host") {
            call.push("--net-host".into());
        }
        let name = options.value("--name").unwrap_or(&id[..12]);
        for label in self.labels(name, id)? {
            call.extend(["--label".into(), label]);
        }
        for volume in options.values("-v").chain(options.values("--volume")) {
            call.extend(["--mount".into(), mount(volume)?]);
        }
        for variable in options.values("-e").chain(options.values("--env")) {
            call.extend(["--env".into(), variable.to_owned()]);
        }
        Ok(call)
    }

    /// The labels by which nerdctl, and so freezeframe, knows a container as its own.
    fn labels(&self, name: &str, id: &str) -> Result<[String; 4]> {
        let state = state_folder(id)?;
        Ok([
            format!("nerdctl/name={name}"),
            format!("nerdctl/namespace={}", self.ctr.namespace),
            format!("nerdctl/platform=linux/{}", architecture()),
            format!("nerdctl/state-dir={}", state.display()),
        ])
    }

    /// A stopped container's task is gone for good: a new one takes its place.
    pub fn start(&self, words: &[&str]) -> Result<i32> {
        self.each(words, |id| {
            if self.ctr.task(id)?.is_some() {
                self.ctr.run(&["tasks", "delete", id])?;
            }
            self.ctr
                .run(&["tasks", "start", "--detach", "--log-uri", &log_uri(id)?, id])
        })
    }

    pub fn exec(&self, words: &[&str]) -> Result<i32> {
        let options = Options::parse(words, &["-e", "--env", "-w", "--workdir"], true)?;
        let (container, words) = options
            .words
            .split_first()
            .context("exec wants a container")?;
        let id = self.resolve(container)?;
        if is_detached(&options) {
            let fifos = state_folder(&id)?.join("fifos").display().to_string();
            return self.call_exec(&["--detach", "--fifo-dir", &fifos], &id, words);
        }
        self.exec_printing(&id, words)
    }

    /// By way of a file that the shim writes, all of it before ctr ends. Of its own pipes ctr stops even the opening
    /// when the process has ended, and on a busy machine the output was seen to be lost.
    fn exec_printing(&self, id: &str, words: &[String]) -> Result<i32> {
        let output = state_folder(id)?.join(new_id());
        let uri = format!("file://{}", output.display());
        let code = self.call_exec(&["--log-uri", &uri], id, words)?;
        // One that is refused has no output.
        let printed = fs::read(&output).unwrap_or_default();
        let _ = fs::remove_file(&output);
        std::io::stdout().write_all(&printed)?;
        Ok(code)
    }

    fn call_exec(&self, flags: &[&str], id: &str, words: &[String]) -> Result<i32> {
        let mut call = self.ctr.command();
        call.args(["tasks", "exec", "--exec-id", &new_id()]);
        let status = call.args(flags).arg(id).args(words).status()?;
        Ok(status.code().unwrap_or(1))
    }
}

fn is_detached(options: &Options) -> bool {
    options.has("--detach") || options.has("-d")
}

/// Unique on this machine: runc's state is shared by all who use it.
fn new_id() -> String {
    let now = clock_gettime(ClockId::Realtime);
    let seed = format!("{} {} {}", now.tv_sec, now.tv_nsec, std::process::id());
    crate::image::digest(seed.as_bytes())
        .trim_start_matches("sha256:")
        .to_owned()
}

/// Where nerdctl would keep a container's lock and log: beside the configuration that
/// the harness names, as a stand-in has no data root of its own.
pub fn state_folder(id: &str) -> Result<PathBuf> {
    let configuration = env::var_os("NERDCTL_TOML").map(PathBuf::from);
    let beside = configuration.as_deref().and_then(|file| file.parent());
    let folder = beside
        .context("the stand-in wants NERDCTL_TOML")?
        .join("containers")
        .join(id);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn log_uri(id: &str) -> Result<String> {
    Ok(format!(
        "file://{}",
        state_folder(id)?.join("log").display()
    ))
}

fn mount(volume: &str) -> Result<String> {
    let Some((source, target)) = volume.split_once(':') else {
        bail!("a volume wants SOURCE:TARGET, not {volume}");
    };
    let (target, access) = target.split_once(':').unwrap_or((target, "rw"));
    Ok(format!(
        "type=bind,src={source},dst={target},options=rbind:{access}"
    ))
}
