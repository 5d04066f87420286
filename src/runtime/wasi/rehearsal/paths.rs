//! Which file does a path lead to that a guest names?

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The descriptor of the first volume.
const FIRST_VOLUME: i32 = 3;

/// The directories that a guest has open, in its own names and in those of the host.
#[derive(Clone, Debug, Default)]
pub(in crate::runtime) struct GuestPaths {
    volumes: i32,
    open: BTreeMap<i32, SeenPath>,
}

/// A file or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct SeenPath {
    /// As the guest sees it, without `.`, `..` and double slashes.
    pub guest: String,
    pub host: PathBuf,
}

impl GuestPaths {
    /// The volumes of a guest, in their order: the path in the guest, and on the host.
    pub fn new(volumes: &[(String, PathBuf)]) -> Self {
        let place = |(guest, host): &(String, PathBuf)| SeenPath { guest: normal("", guest), host: host.clone() };
        let open = (FIRST_VOLUME..).zip(volumes.iter().map(place)).collect();
        Self { volumes: i32::try_from(volumes.len()).unwrap_or(i32::MAX), open }
    }

    /// What a path below an open directory names.
    pub fn place(&self, directory: i32, path: &str) -> Option<SeenPath> {
        let directory = self.open.get(&directory)?;
        if path.starts_with('/') {
            return None;
        }
        Some(SeenPath { guest: normal(&directory.guest, path), host: directory.host.join(path) })
    }

    /// What is open, as the host names it.
    pub fn host(&self, descriptor: i32) -> Option<PathBuf> {
        Some(self.open.get(&descriptor)?.host.clone())
    }

    /// Notes that a place is open.
    pub fn opened(&mut self, descriptor: i32, place: SeenPath) {
        self.open.insert(descriptor, place);
    }

    /// Notes that a descriptor is closed.
    pub fn closed(&mut self, descriptor: i32) {
        self.open.remove(&descriptor);
    }

    /// Whether the guest has opened this descriptor, and has not closed it.
    pub fn has_opened(&self, descriptor: i32) -> bool {
        descriptor >= FIRST_VOLUME.saturating_add(self.volumes) && self.open.contains_key(&descriptor)
    }

    /// Whether the guest has the volumes open and nothing else.
    pub fn are_volumes_only(&self) -> bool {
        let last = FIRST_VOLUME.saturating_add(self.volumes);
        self.open.keys().copied().eq(FIRST_VOLUME..last)
    }
}

/// A path below another, as short as it can be written.
fn normal(base: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.iter().flat_map(|part| ["/", part]).collect()
}

#[cfg(test)]
mod tests {
    use crate::runtime::wasi::rehearsal::paths::*;

    #[test]
    fn paths_are_those_of_the_directory_that_they_start_from() {
        let volumes = [("/www".to_owned(), PathBuf::from("/host/a")), ("/".to_owned(), PathBuf::from("/host/b"))];
        let mut paths = GuestPaths::new(&volumes);
        let guest = |paths: &GuestPaths, fd, path| paths.place(fd, path).map(|place| place.guest);
        assert_eq!(guest(&paths, 3, "./x//index.php").as_deref(), Some("/www/x/index.php"));
        assert_eq!(guest(&paths, 4, ".wagi/checkpoint").as_deref(), Some("/.wagi/checkpoint"));
        assert_eq!(guest(&paths, 3, "../.wagi/checkpoint").as_deref(), Some("/.wagi/checkpoint"));
        assert_eq!((guest(&paths, 5, "x"), guest(&paths, 3, "/etc")), (None, None));
        assert_eq!(paths.place(3, "b").map(|place| place.host), Some(PathBuf::from("/host/a/b")));
        assert_eq!((paths.host(4), paths.host(5)), (Some(PathBuf::from("/host/b")), None));
        assert!(paths.are_volumes_only());
        let directory = paths.place(3, "lib").expect("a place");
        paths.opened(5, directory);
        assert_eq!(guest(&paths, 5, "a.py").as_deref(), Some("/www/lib/a.py"));
        assert!(!paths.are_volumes_only() && paths.has_opened(5) && !paths.has_opened(4) && !paths.has_opened(1));
        paths.closed(5);
        assert!(paths.are_volumes_only());
        paths.closed(4);
        assert!(!paths.are_volumes_only());
    }
}
