//! What a review found broken stays mended: a folder of defects, each test named after
//! what holds now.

mod delegated;
mod freezing;
mod full_disk;
mod paused_below;
mod reports;
mod trees;

const IMAGE: &str = "docker.io/library/mended:latest";
