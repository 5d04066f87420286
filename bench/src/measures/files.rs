//! How many requests a second for a file, beside nginx?

use anyhow::Result;
use serde_json::json;

use super::{Bound, Outcome};
use crate::load::{median, wrk};
use crate::servers::{native, wagi};
use crate::site::Site;

const CONNECTIONS: usize = 32;

/// The file, and its length in bytes: that of a script or a small image.
const FILE: (&str, usize) = ("file.bin", 16 << 10);

/// Takes the measure: both servers have their turns one after the other, every other round backwards.
pub fn take(site: &Site) -> Result<Vec<Outcome>> {
    let (name, length) = FILE;
    let directory = site.scratch.join("files");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join(name), vec![b'x'; length])?;
    let nginx = native::nginx_files(site, &directory)?;
    let ours = wagi::serve(site, "files", "[[static]]\nroute = \"/...\"\ndirectory = \"target/bench/files\"\n")?;
    let path = format!("/{name}");
    let rate = |url: String| Ok::<_, anyhow::Error>(wrk::load(site, &url, CONNECTIONS, site.turn)?.per_second);
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for round in 0..site.rounds {
        let (own, other) = if round % 2 == 0 {
            (rate(ours.url(&path))?, rate(nginx.url(&path))?)
        } else {
            let other = rate(nginx.url(&path))?;
            (rate(ours.url(&path))?, other)
        };
        ratios.push(own / other);
        rates.push(json!([own.round(), other.round()]));
    }
    let row = Outcome::new("files", "a static file of 16 KiB, against nginx", median(ratios), "");
    let row = row.held_against(Bound::AtLeast(0.4), Some(Bound::AtLeast(0.7)));
    Ok(vec![row.with(json!({ "per_second_wagi_and_nginx": rates, "connections": CONNECTIONS }))])
}
