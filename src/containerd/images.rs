//! Image records: names that point to a manifest or an index.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use containerd_client::services::v1::{
    CreateImageRequest, DeleteImageRequest, GetImageRequest, Image, UpdateImageRequest,
    images_client::ImagesClient,
};
use containerd_client::types::Descriptor;
use tonic::Code;
use tonic::transport::Channel;

use super::{CallError, Containerd, absent_is_none};

/// Somebody else may create and delete the name while we try; so often in a row is no accident.
const MOST_TRIES: usize = 10;
/// A service is started again a few seconds after it has ended (systemd.service(5), `RestartSec=5` in containerd's unit).
const RESTART_BOUND: Duration = Duration::from_secs(10);
const RESTART_POLL: Duration = Duration::from_millis(100);

fn is_lost(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(CallError::is_lost)
}

impl Containerd {
    pub fn image(&self, name: &str) -> Result<Option<Image>> {
        let request = self.request(GetImageRequest {
            name: name.to_owned(),
        });
        let answer = self.call(self.images().get(request));
        Ok(absent_is_none(answer)
            .with_context(|| format!("reading image {name}"))?
            .and_then(|response| response.image))
    }

    /// Makes `name` point to `target`, whether or not it existed. A signal does not interrupt it: the image would exist
    /// or not, and nobody knew.
    pub fn put_image(&self, name: &str, target: &Descriptor) -> Result<()> {
        let image = Image {
            name: name.to_owned(),
            target: Some(target.clone()),
            ..Default::default()
        };
        let steady = self.steady();
        for _ in 0..MOST_TRIES {
            match steady.try_to_put_image(&image) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // It may have been done all the same.
                Err(error) if is_lost(&error) && steady.has_image(&image) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        bail!("image {name} is being created and deleted by somebody else: try again")
    }

    /// False where the name comes and goes.
    fn try_to_put_image(&self, image: &Image) -> Result<bool> {
        Ok(self.update_image(image)? || self.create_image(image)?)
    }

    /// Whether the record is there, as far as the daemon tells, which may just be starting again.
    fn has_image(&self, image: &Image) -> bool {
        let end = Instant::now() + RESTART_BOUND;
        loop {
            match self.image(&image.name) {
                Err(error) if is_lost(&error) && Instant::now() < end => sleep(RESTART_POLL),
                answer => {
                    let recorded = answer.ok().flatten();
                    return recorded.is_some_and(|recorded| recorded.target == image.target);
                }
            }
        }
    }

    fn update_image(&self, image: &Image) -> Result<bool> {
        let request = self.request(UpdateImageRequest {
            image: Some(image.clone()),
            ..Default::default()
        });
        let answer = self.call(self.images().update(request));
        Ok(absent_is_none(answer)
            .with_context(|| format!("replacing image {}", image.name))?
            .is_some())
    }

    fn create_image(&self, image: &Image) -> Result<bool> {
        let request = self.request(CreateImageRequest {
            image: Some(image.clone()),
            ..Default::default()
        });
        match self.call(self.images().create(request)) {
            Err(error) if error.is(Code::AlreadyExists) => Ok(false),
            answer => {
                answer.with_context(|| format!("creating image {}", image.name))?;
                Ok(true)
            }
        }
    }

    /// Removes the record; what only that led to goes with the next collection. One that is not there is no error.
    pub fn remove_image(&self, name: &str) -> Result<()> {
        let request = self.request(DeleteImageRequest {
            name: name.to_owned(),
            ..Default::default()
        });
        let answer = self.call(self.images().delete(request));
        absent_is_none(answer).with_context(|| format!("removing image {name}"))?;
        Ok(())
    }

    fn images(&self) -> ImagesClient<Channel> {
        ImagesClient::new(self.channel.clone())
    }
}
