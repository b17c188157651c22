//! What the base's manifest says of its layers is said of them in the new image too,
//! whatever their types and compressions.

use super::{IMAGE, MINE, assert_runs, changed, commit_quietly, layers, mine};
use crate::FREEZEFRAME;
use harness::image::{Archive, Blob, CONFIG, MANIFEST, gzip};
use harness::{Container, Daemon, Result, View};
use serde_json::{Value, json};

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const OCI_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const OCI_TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_TAR: &str = "application/vnd.docker.image.rootfs.diff.tar";
const DOCKER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// Three layers: zstd, uncompressed, gzip; and a type for each.
fn archive(manifest: &str, config: &str, types: [&str; 3]) -> Result<Archive> {
    let image = mine("mine");
    let mut archive = image.archive_without_layers(MINE, manifest, config)?;
    let tars = image.tars()?;
    let more = [
        ("annotations", json!({"org.example.of": "a layer", "b": ""})),
        ("urls", json!(["https://example.org/layer"])),
    ];
    archive.described_layer(
        Blob::new(types[0], zstd::encode_all(&tars[0][..], 3)?),
        &more,
    );
    archive.described_layer(Blob::new(types[1], tars[1].clone()), &more[..1]);
    archive.layer(Blob::new(types[2], gzip(&tars[2])?));
    Ok(archive)
}

fn base_layers_are_kept(archive: Archive) -> Result {
    let daemon = Daemon::start()?;
    archive.import(daemon.ctr())?;
    let base = layers(&daemon.ctr().manifest(MINE)?);
    let container = changed(&daemon)?;
    commit_quietly(&container)?;
    assert_eq!(layers(&daemon.ctr().manifest(IMAGE)?)[..3], base);
    for format in ["docker", "oci"] {
        let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
        let flags = ["--format", format, "--compression=zstd"];
        freezeframe.commit(&container, IMAGE, &flags)?.succeeded()?;
        assert_eq!(layers(&daemon.ctr().manifest(IMAGE)?)[..3], base);
        let view = View::snapshot(&daemon, IMAGE)?.tree()?;
        // containerd 1.6 cannot unpack what has Docker's type for zstd, stock's images no more than ours.
        if format == "oci" {
            view.assert_same(&View::unpacked(&daemon, IMAGE)?.tree()?, format);
        }
    }
    assert_runs(&daemon)
}

#[test]
fn layers_of_every_compression_in_an_oci_image_are_kept() -> Result {
    let gzip = harness::image::LAYER_GZIP;
    base_layers_are_kept(archive(MANIFEST, CONFIG, [OCI_ZSTD, OCI_TAR, gzip])?)
}

#[test]
fn layers_of_mixed_types_in_a_docker_image_are_kept() -> Result {
    let types = [OCI_ZSTD, DOCKER_TAR, DOCKER_GZIP];
    base_layers_are_kept(archive(DOCKER_MANIFEST, DOCKER_CONFIG, types)?)
}

#[test]
fn layers_of_mixed_types_in_an_oci_image_are_kept() -> Result {
    let types = [OCI_ZSTD, DOCKER_TAR, DOCKER_GZIP];
    base_layers_are_kept(archive(MANIFEST, DOCKER_CONFIG, types)?)
}

/// An image of ours, of one format, is the base of one of the other.
#[test]
fn an_image_of_one_format_is_the_base_of_one_of_the_other() -> Result {
    let daemon = Daemon::start()?;
    mine("mine").import(&daemon, MINE)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let mut below = layers(&daemon.ctr().manifest(MINE)?);
    let mut reference = MINE.to_owned();
    for (round, format) in ["docker", "oci", "docker"].into_iter().enumerate() {
        let container = Container::run(&daemon, &reference, &["sleep", "1000"])?;
        container.shell(&format!("echo changed >/srv/plain; echo >/srv/{round}"))?;
        reference = format!("docker.io/library/round:{round}");
        let flags = ["--format", format];
        freezeframe
            .commit(&container, &reference, &flags)?
            .succeeded()?;
        let all: Vec<Value> = layers(&daemon.ctr().manifest(&reference)?);
        assert_eq!(all.len(), below.len() + 1);
        assert_eq!(all[..below.len()], below);
        below = all;
    }
    let unpacked = View::unpacked(&daemon, &reference)?;
    assert_eq!(unpacked.read("/srv/plain")?, "changed\n");
    for round in 0..3 {
        unpacked.read(&format!("/srv/{round}"))?;
    }
    Ok(())
}

/// An image that has been through other tools than docker's: Go takes a name in any case.
#[test]
fn names_in_another_case_are_replaced_by_changes() -> Result {
    let daemon = Daemon::start()?;
    let image = mine("mine").configured(|config| {
        config["config"] = json!({
            "env": ["PATH=/bin", "GREETING=hello"],
            "cmd": ["sleep", "1000"],
            "workingdir": "/srv",
        });
    });
    image.import(&daemon, MINE)?;
    let container = changed(&daemon)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let flags = ["-c", "CMD [\"pwd\"]", "-c", "ENV SAID=$GREETING"];
    freezeframe.commit(&container, IMAGE, &flags)?.succeeded()?;
    let expected = json!({
        "Cmd": ["pwd"],
        "Env": ["PATH=/bin", "GREETING=hello", "SAID=hello"],
        "WorkingDir": "/srv",
    });
    assert_eq!(daemon.ctr().config(IMAGE)?["config"], expected);
    let nerdctl = daemon.nerdctl()?;
    let run = ["run", "--rm", "--net", "none", IMAGE];
    assert_eq!(harness::printed(|| nerdctl.outcome(&run))?, "/srv");
    Ok(())
}

/// The container is there before such a base, which not every containerd would unpack.
#[test]
fn what_a_base_says_of_its_platform_is_said_of_the_new_image_too() -> Result {
    let daemon = Daemon::start()?;
    mine("mine").import(&daemon, MINE)?;
    let container = changed(&daemon)?;
    let image = mine("mine").configured(|config| {
        config["os.version"] = json!("10.0.14393");
        config["os.features"] = json!(["win32k", "another"]);
        config["variant"] = json!("v8");
    });
    image.import(&daemon, MINE)?;
    commit_quietly(&container)?;
    let (new, base) = (daemon.ctr().config(IMAGE)?, daemon.ctr().config(MINE)?);
    for name in ["architecture", "os", "os.features", "os.version", "variant"] {
        assert!(!base[name].is_null(), "{name}");
        assert_eq!(new[name], base[name], "{name}");
    }
    Ok(())
}

#[test]
fn a_history_of_more_steps_than_layers_is_kept() -> Result {
    let daemon = Daemon::start()?;
    let image = mine("mine").configured(|config| {
        config["history"] = (0..5)
            .map(|step| json!({"comment": step.to_string()}))
            .collect();
    });
    image.import(&daemon, MINE)?;
    let base = daemon.ctr().config(MINE)?["history"].take();
    let container = changed(&daemon)?;
    commit_quietly(&container)?;
    let history = daemon.ctr().config(IMAGE)?["history"].take();
    let steps = history.as_array().map(|steps| (steps.len(), &steps[..5]));
    assert_eq!(steps, base.as_array().map(|base| (6, &base[..])));
    Ok(())
}
