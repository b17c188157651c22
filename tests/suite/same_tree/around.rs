//! What is around the tree, beside a stock commit of the same container: configuration, manifest, labels, record, and
//! what garbage collection keeps of it and frees.
//!
//! Stock is the real nerdctl where there is one. The stand-in writes configuration and manifest by the same rules, but it
//! imports the image: the labels of its manifest are not compared.

use super::{OURS, STOCK};
use crate::FREEZEFRAME;
use harness::{BASE, Container, Daemon, Result, chain_id};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn documents_labels_and_record_are_stocks_in_every_format_and_compression() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo new >/srv/new; rm -r /srv/many")?;
    container.pause()?;
    let said = [
        "--author=somebody",
        "--message=a message",
        "--change=CMD [\"ls\", \"/srv\"]",
    ];
    for flags in [&[][..], &said] {
        for format in ["docker", "oci"] {
            let format = format!("--format={format}");
            let gzip = [&[format.as_str(), "--compression=gzip"], flags].concat();
            let zstd = [&[format.as_str(), "--compression=zstd"], flags].concat();
            let mut stock = stock(&container, &gzip)?.expect("gzip is what every differ has");
            assert_eq!(ours(&container, &gzip)?, stock, "{gzip:?}");
            if let Some(stock_of_zstd) = self::stock(&container, &zstd)? {
                stock = stock_of_zstd;
            } else {
                // It differs from gzip's in one word.
                let media_type = &mut stock.manifest["layers"][2]["mediaType"];
                let word = media_type.as_str().unwrap_or_default();
                *media_type = word.replace("gzip", "zstd").into();
            }
            assert_eq!(ours(&container, &zstd)?, stock, "{zstd:?}");
        }
    }
    Ok(())
}

fn ours(container: &Container, flags: &[&str]) -> Result<Around> {
    let daemon = container.daemon();
    daemon
        .freezeframe(FREEZEFRAME)?
        .commit(container, OURS, flags)?
        .succeeded()?;
    Around::of(daemon, OURS)
}

/// `None` where the differ or the stand-in does not know zstd.
fn stock(container: &Container, flags: &[&str]) -> Result<Option<Around>> {
    let daemon = container.daemon();
    let nerdctl = daemon.nerdctl()?;
    let is_zstd = flags.contains(&"--compression=zstd");
    if is_zstd && !nerdctl.is_real {
        return Ok(None);
    }
    let call = [&["commit"], flags, &[&container.name, STOCK]].concat();
    let outcome = nerdctl.outcome(&call)?;
    if is_zstd && outcome.error_text().contains("unsupported diff media type") {
        return Ok(None);
    }
    outcome.succeeded()?;
    Around::of(daemon, STOCK).map(Some)
}

/// An image but for its tree: digests are replaced by what they are the digests of, and times of making and sizes of
/// what has such a time, or was compressed by another, are left out.
#[derive(Debug, PartialEq)]
struct Around {
    record: Vec<String>,
    manifest: Value,
    config: Value,
    labels: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Around {
    fn of(daemon: &Daemon, reference: &str) -> Result<Self> {
        let ctr = daemon.ctr();
        let target = ctr.image_digest(reference)?;
        let (manifest, config) = (ctr.manifest(reference)?, ctr.config(reference)?);
        let [config_digest, layer] = [&manifest["config"], &manifest["layers"][2]].map(digest_of);
        let diff_id = config["rootfs"]["diff_ids"][2].as_str().unwrap_or_default();
        let names = Names(vec![
            (target.clone(), "MANIFEST"),
            (config_digest.clone(), "CONFIG"),
            (layer.clone(), "LAYER"),
            (diff_id.to_owned(), "DIFF-ID"),
            (chain_id(daemon, reference)?, "CHAIN-ID"),
        ]);
        let mut labels = BTreeMap::new();
        let mut note = |of, digest: &str| -> Result {
            let found = labels_of(daemon, digest)?
                .iter()
                .map(|label| names.put_into(label))
                .collect();
            labels.insert(of, found);
            Ok(())
        };
        if daemon.nerdctl()?.is_real {
            note("manifest", &target)?;
        }
        note("config", &config_digest)?;
        note("layer", &layer)?;
        Ok(Self {
            record: record(daemon, reference)?,
            manifest: names.put_into_all(&without_sizes(manifest))?,
            config: names.put_into_all(&without_times(config))?,
            labels,
        })
    }
}

/// Digests, and what they are the digests of.
struct Names(Vec<(String, &'static str)>);

impl Names {
    fn put_into(&self, text: &str) -> String {
        let replace = |text: String, (digest, name): &(String, &str)| text.replace(digest, name);
        self.0.iter().fold(text.to_owned(), replace)
    }

    fn put_into_all(&self, value: &Value) -> Result<Value> {
        Ok(serde_json::from_str(&self.put_into(&value.to_string()))?)
    }
}

fn without_sizes(mut manifest: Value) -> Value {
    for pointer in ["/config/size", "/layers/2/size"] {
        *manifest.pointer_mut(pointer).expect("a size") = json!("SIZE");
    }
    manifest
}

fn without_times(mut config: Value) -> Value {
    let steps = config["history"].as_array().map_or(0, Vec::len);
    for pointer in [
        "/created".to_owned(),
        format!("/history/{}/created", steps - 1),
    ] {
        *config.pointer_mut(&pointer).expect("a time") = json!("NOW");
    }
    config
}

/// The type of what the image's record names, and its labels.
fn record(daemon: &Daemon, reference: &str) -> Result<Vec<String>> {
    let listed = daemon
        .ctr()
        .list(&["images", "ls", &format!("name=={reference}")])?;
    let words: Vec<_> = listed[0].split_whitespace().map(str::to_owned).collect();
    Ok([words.get(1), words.last()]
        .into_iter()
        .flatten()
        .cloned()
        .collect())
}

fn digest_of(descriptor: &Value) -> String {
    descriptor["digest"].as_str().unwrap_or_default().to_owned()
}

fn labels_of(daemon: &Daemon, digest: &str) -> Result<BTreeSet<String>> {
    let blobs = daemon.ctr().list(&["content", "ls"])?;
    let line = blobs.iter().find(|line| line.starts_with(digest));
    let labels = line.and_then(|line| line.split_whitespace().last());
    Ok(labels
        .unwrap_or_default()
        .split(',')
        .map(str::to_owned)
        .collect())
}

#[test]
fn garbage_collection_keeps_and_frees_what_it_does_of_stocks() -> Result {
    for order in [
        ["container", "base", "image"],
        ["image", "container", "base"],
    ] {
        let [ours, stock] = [false, true].map(|is_stock| kept(&order, is_stock));
        let (ours, stock) = (ours?, stock?);
        assert_eq!(ours, stock, "{order:?}");
        // The image is there until it is removed, and then nothing but its base is.
        let with_image = order.iter().take_while(|name| **name != "image").count();
        for (index, kept) in ours.iter().enumerate() {
            let expected = usize::from(index <= with_image);
            for name in ["own layer", "own snapshot", "own config", "own manifest"] {
                assert_eq!(
                    kept.get(name).copied().unwrap_or(0),
                    expected,
                    "{order:?} {index}"
                );
            }
        }
        assert_eq!(ours.last(), Some(&BTreeMap::new()), "{order:?}");
    }
    Ok(())
}

/// How many of what sort are there after the commit, and after each removal with a collection.
fn kept(order: &[&str], is_stock: bool) -> Result<Vec<BTreeMap<String, usize>>> {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo new >/srv/new")?;
    let mut container = Some(container);
    let committed = container.as_ref().expect("it was just made");
    if is_stock {
        daemon.nerdctl()?.run(&["commit", &committed.name, OURS])?;
    } else {
        daemon
            .freezeframe(FREEZEFRAME)?
            .commit(committed, OURS, &[])?
            .succeeded()?;
    }
    let own = own_things(&daemon)?;
    daemon.ctr().collect_garbage()?;
    let mut kept = vec![things(&daemon, &own)?];
    for name in order {
        match *name {
            "container" => container.take().map_or(Ok(()), Container::remove)?,
            "base" => daemon
                .ctr()
                .run(&["images", "rm", "--sync", BASE])
                .map(drop)?,
            _ => daemon
                .ctr()
                .run(&["images", "rm", "--sync", OURS])
                .map(drop)?,
        }
        daemon.ctr().collect_garbage()?;
        kept.push(things(&daemon, &own)?);
    }
    Ok(kept)
}

fn own_things(daemon: &Daemon) -> Result<BTreeMap<String, &'static str>> {
    let manifest = daemon.ctr().manifest(OURS)?;
    Ok(BTreeMap::from([
        (daemon.ctr().image_digest(OURS)?, "own manifest"),
        (digest_of(&manifest["config"]), "own config"),
        (digest_of(&manifest["layers"][2]), "own layer"),
        (chain_id(daemon, OURS)?, "own snapshot"),
    ]))
}

fn things(
    daemon: &Daemon,
    own: &BTreeMap<String, &'static str>,
) -> Result<BTreeMap<String, usize>> {
    let mut things = BTreeMap::new();
    for call in [
        &["content", "ls"][..],
        &["snapshots", "ls"],
        &["leases", "ls"],
        &["images", "ls"],
    ] {
        for line in daemon.ctr().list(call)? {
            let name = line.split_whitespace().next().unwrap_or_default();
            let sort = own
                .get(name)
                .map_or(format!("other {}", call[0]), ToString::to_string);
            *things.entry(sort).or_default() += 1;
        }
    }
    Ok(things)
}
