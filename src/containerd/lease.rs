//! The lease: the only owner of all we make until the image record exists.
//!
//! It is short-lived, so that what a killed commit leaves goes at the daemon's next garbage collection. The API cannot
//! extend a lease, so a keeper relays: a new lease takes over the resources before the old one expires. A label tells
//! which process holds it; the next commit removes those whose process is gone. Leases of others are never touched.

use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use containerd_client::services::v1::{
    AddResourceRequest, CreateRequest, DeleteRequest, ListRequest, ListResourcesRequest, Resource,
    leases_client::LeasesClient,
};
use prost_types::Timestamp;
use tonic::transport::Channel;

use super::{Containerd, absent_is_none};
use crate::system::identity::ProcessIdentity;

/// How long a lease lives without being relayed, and how often it is.
#[derive(Clone, Copy)]
struct Terms {
    lifetime: Duration,
    relay_period: Duration,
}

/// A relay may fail once, and be late.
const TERMS: Terms = Terms {
    lifetime: Duration::from_secs(180),
    relay_period: Duration::from_secs(60),
};
/// The newest lease and the one before it, which calls under way may still name.
const HELD_AT_ONCE: usize = 2;
/// How long the end of a commit waits for what it made nobody need: the daemon goes on collecting that by itself, and a large
/// image that was replaced takes seconds.
const COLLECTION_PATIENCE: Duration = Duration::from_millis(300);
/// containerd's docs/garbage-collection.md.
const EXPIRE_LABEL: &str = "containerd.io/gc.expire";
const PROCESS_LABEL: &str = "freezeframe/process";

/// Held from before the first thing is made until the image record exists; dropping it gives everything up, and waits until
/// that is gone.
pub struct Lease {
    stop: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl Lease {
    /// Removes what dead commits left, then takes a lease that every later call of `client` carries.
    pub fn acquire(client: &Containerd) -> Result<Self> {
        Self::acquire_on(client, TERMS)
    }

    fn acquire_on(client: &Containerd, terms: Terms) -> Result<Self> {
        client.delete_abandoned_leases()?;
        let first = client.steady().create_lease(terms)?;
        client.set_lease(Some(first.clone()));
        let (stop, stopped) = mpsc::channel();
        let (keeper_client, kept) = (client.clone(), first.clone());
        let keeper = std::thread::Builder::new()
            .name("lease".into())
            .spawn(move || keep(&keeper_client, kept, terms, &stopped));
        if keeper.is_err() {
            client.set_lease(None);
            // It expires if that fails.
            let _ = client.for_cleaning_up().delete_lease(&first);
        }
        Ok(Self {
            stop: Some(stop),
            keeper: Some(keeper.context("starting the thread that keeps the lease")?),
        })
    }

    /// Ends it now that nothing needs it any more; what nobody owns then may be collected after that.
    pub fn release(self) {
        let stop = self.stop.as_ref();
        // A keeper that is gone needs no word.
        let _ = stop.map(|stop| stop.send(()));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(keeper) = self.keeper.take() {
            // A keeper that panicked leaves leases that expire.
            let _ = keeper.join();
        }
    }
}

fn keep(client: &Containerd, first: String, terms: Terms, stopped: &mpsc::Receiver<()>) {
    let caretaker = client.for_cleaning_up();
    let mut held = vec![first];
    let is_released = loop {
        match stopped.recv_timeout(terms.relay_period) {
            Err(RecvTimeoutError::Timeout) => relay(client, &caretaker, &mut held, terms),
            stopped => break stopped.is_ok(),
        }
    };
    client.set_lease(None);
    for lease in held {
        if is_released {
            caretaker.let_go(&lease);
        } else {
            let _ = caretaker.delete_lease(&lease);
        }
    }
}

/// One that fails is tried again next time: the lease lives long enough for two.
fn relay(client: &Containerd, caretaker: &Containerd, held: &mut Vec<String>, terms: Terms) {
    let Ok(next) = caretaker.relay(held, terms) else {
        return;
    };
    client.set_lease(Some(next.clone()));
    held.push(next);
    if held.len() > HELD_AT_ONCE {
        let _ = caretaker.delete_lease(&held.remove(0));
    }
}

impl Containerd {
    /// Lets the lease own the snapshot of this name, whoever makes it.
    pub(super) fn lease_snapshot(&self, snapshotter: &str, name: &str) -> Result<()> {
        self.lease_resource(&format!("snapshots/{snapshotter}"), name)
    }

    /// Lets the lease own content that is there already, or comes.
    pub fn lease_content(&self, digest: &str) -> Result<()> {
        self.lease_resource("content", digest)
    }

    fn lease_resource(&self, kind: &str, id: &str) -> Result<()> {
        let Some(lease) = self.current_lease() else {
            return Ok(());
        };
        let resource = Resource {
            id: id.to_owned(),
            r#type: kind.to_owned(),
        };
        self.add_resource(&lease, resource)
    }

    fn set_lease(&self, lease: Option<String>) {
        *self
            .lease
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = lease;
    }

    /// Not to be interrupted: a lease whose name is lost would stay until it expires.
    fn create_lease(&self, terms: Terms) -> Result<String> {
        let now = SystemTime::now();
        let id = format!("freezeframe-{}", crate::system::identity::unique_name());
        let labels = HashMap::from([
            (
                EXPIRE_LABEL.to_owned(),
                Timestamp::from(now + terms.lifetime).to_string(),
            ),
            (
                PROCESS_LABEL.to_owned(),
                ProcessIdentity::of_this_process()?.to_string(),
            ),
        ]);
        let request = self.request(CreateRequest {
            id: id.clone(),
            labels,
        });
        let created = self.call(self.leases().create(request));
        if created.is_err() {
            // It may exist all the same.
            let _ = self.delete_lease(&id);
        }
        created.context("creating a lease")?;
        Ok(id)
    }

    /// A new lease that owns all that the `held` ones own, of which the last is the newest.
    fn relay(&self, held: &[String], terms: Terms) -> Result<String> {
        let next = self.create_lease(terms)?;
        let taken_over = self.take_over_all(held, &next);
        if taken_over.is_err() {
            let _ = self.delete_lease(&next);
        }
        taken_over.map(|()| next)
    }

    /// One before the newest may have expired: what it owned the newest has taken over.
    fn take_over_all(&self, held: &[String], next: &str) -> Result<()> {
        for lease in held {
            let is_there = self.take_over(lease, next)?;
            let is_newest = Some(lease) == held.last();
            ensure!(is_there || !is_newest, "lease {lease} has expired");
        }
        Ok(())
    }

    /// False where there is no such lease.
    fn take_over(&self, lease: &str, next: &str) -> Result<bool> {
        let request = self.request(ListResourcesRequest {
            id: lease.to_owned(),
        });
        let answer = self.call(self.leases().list_resources(request));
        let Some(answer) = absent_is_none(answer)? else {
            return Ok(false);
        };
        for resource in answer.resources {
            self.add_resource(next, resource)?;
        }
        Ok(true)
    }

    fn add_resource(&self, lease: &str, resource: Resource) -> Result<()> {
        let what = format!("{} {}", resource.r#type, resource.id);
        let request = self.request(AddResourceRequest {
            id: lease.to_owned(),
            resource: Some(resource),
        });
        self.call(self.leases().add_resource(request))
            .with_context(|| format!("leasing {what}"))?;
        Ok(())
    }

    fn delete_abandoned_leases(&self) -> Result<()> {
        let request = self.request(ListRequest {
            filters: vec![format!("labels.\"{PROCESS_LABEL}\"")],
        });
        let leases = self
            .call(self.leases().list(request))
            .context("listing leases")?
            .leases;
        for lease in leases {
            let holder = lease.labels.get(PROCESS_LABEL);
            if holder.is_some_and(|holder| ProcessIdentity::is_known_to_be_gone(holder)) {
                // Another commit may be removing it as well.
                let _ = self.delete_lease(&lease.id);
            }
        }
        Ok(())
    }

    /// Has the daemon collect what nobody owns, and waits until that is gone.
    pub fn collect_garbage(&self) -> Result<()> {
        let lease = self.steady().create_lease(TERMS)?;
        self.delete_lease(&lease)
    }

    /// Deletes the lease and waits until what only it held is collected.
    fn delete_lease(&self, id: &str) -> Result<()> {
        self.delete(id, true)
    }

    /// Deletes the lease and does not wait for long until what only it held is collected.
    fn let_go(&self, id: &str) {
        let collected = self.within(COLLECTION_PATIENCE).delete_lease(id);
        if collected.is_err() {
            // Given up, the call may not have come so far as to delete it.
            let _ = self.delete(id, false);
        }
    }

    /// `sync` is to wait for what the deletion leaves to be collected.
    fn delete(&self, id: &str, sync: bool) -> Result<()> {
        let request = self.request(DeleteRequest {
            id: id.to_owned(),
            sync,
        });
        self.call(self.leases().delete(request))
            .with_context(|| format!("deleting lease {id}"))?;
        Ok(())
    }

    fn leases(&self) -> LeasesClient<Channel> {
        LeasesClient::new(self.channel.clone())
    }
}

#[cfg(test)]
mod tests;
