//! Which file does a path lead to that a guest names?

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::runtime::instance::grants::FIRST_VOLUME;

/// What a guest has open, in its own names and in those of the host.
#[derive(Clone, Debug, Default)]
pub(in crate::runtime) struct GuestPaths {
    volumes: i32,
    open: BTreeMap<i32, OpenedPath>,
    /// The number behind the highest one that was ever given away.
    end: i32,
}

/// A file or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct SeenPath {
    /// As the guest sees it, without `.`, `..` and double slashes.
    pub guest: String,
    /// `None` below a directory that is empty at the start of each guest.
    pub host: Option<PathBuf>,
    /// The descriptor of its volume.
    pub volume: i32,
    /// Its path below the volume, as the guest has written it.
    pub below: String,
}

/// Something that a guest has open, with the parameters of `path_open`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct OpenedPath {
    pub place: SeenPath,
    pub lookup: i32,
    pub rights: i64,
}

impl GuestPaths {
    /// The volumes of a guest, in their order: the path in the guest, and on the host. Those with the indices `empty` are empty
    /// directories of this process.
    pub fn new(volumes: &[(String, PathBuf)], empty: &[usize]) -> Self {
        let place = |(index, (guest, host)): (usize, &(String, PathBuf))| {
            let volume = i32::try_from(index).unwrap_or(i32::MAX).saturating_add(FIRST_VOLUME);
            let host = (!empty.contains(&index)).then(|| host.clone());
            let place = SeenPath { guest: normal("", guest), host, volume, below: String::new() };
            (volume, OpenedPath { place, lookup: 0, rights: 0 })
        };
        let open = volumes.iter().enumerate().map(place).collect();
        let volumes = i32::try_from(volumes.len()).unwrap_or(i32::MAX);
        Self { volumes, open, end: FIRST_VOLUME.saturating_add(volumes) }
    }

    /// What a path below an open directory names.
    pub fn place(&self, directory: i32, path: &str) -> Option<SeenPath> {
        let directory = &self.open.get(&directory)?.place;
        if path.starts_with('/') {
            return None;
        }
        Some(SeenPath {
            guest: normal(&directory.guest, path),
            host: directory.host.as_ref().map(|host| host.join(path)),
            volume: directory.volume,
            below: if directory.below.is_empty() { path.to_owned() } else { format!("{}/{path}", directory.below) },
        })
    }

    /// What is open, as the host names it.
    pub fn host(&self, descriptor: i32) -> Option<PathBuf> {
        self.open.get(&descriptor)?.place.host.clone()
    }

    /// Notes that a place is open.
    pub fn opened(&mut self, descriptor: i32, path: OpenedPath) {
        self.end = self.end.max(descriptor.saturating_add(1));
        self.open.insert(descriptor, path);
    }

    /// Notes that a descriptor is closed.
    pub fn closed(&mut self, descriptor: i32) {
        self.open.remove(&descriptor);
    }

    /// Whether the guest has opened this descriptor, and has not closed it.
    pub fn has_opened(&self, descriptor: i32) -> bool {
        descriptor >= self.first_opened() && self.open.contains_key(&descriptor)
    }

    /// Whether the guest has all volumes open.
    pub fn has_all_volumes(&self) -> bool {
        (FIRST_VOLUME..self.first_opened()).all(|volume| self.open.contains_key(&volume))
    }

    /// The number behind those of the volumes.
    pub fn first_opened(&self) -> i32 {
        FIRST_VOLUME.saturating_add(self.volumes)
    }

    /// What is open under each number that was ever given away, from the first one behind the volumes on.
    pub fn numbers(&self) -> impl Iterator<Item = Option<&OpenedPath>> {
        (self.first_opened()..self.end).map(|number| self.open.get(&number))
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
        let paths = GuestPaths::new(&volumes, &[1]);
        let guest = |paths: &GuestPaths, fd, path| paths.place(fd, path).map(|place| place.guest);
        assert_eq!(guest(&paths, 3, "./x//index.php").as_deref(), Some("/www/x/index.php"));
        assert_eq!(guest(&paths, 4, ".wagi/checkpoint").as_deref(), Some("/.wagi/checkpoint"));
        assert_eq!(guest(&paths, 3, "../.wagi/checkpoint").as_deref(), Some("/.wagi/checkpoint"));
        assert_eq!((guest(&paths, 5, "x"), guest(&paths, 3, "/etc")), (None, None));
        assert_eq!(paths.place(3, "b").and_then(|place| place.host), Some(PathBuf::from("/host/a/b")));
        assert_eq!((paths.host(3), paths.host(4), paths.host(5)), (Some(PathBuf::from("/host/a")), None, None));
        assert_eq!(paths.place(4, "x").map(|place| place.host), Some(None), "it is always empty");
    }

    #[test]
    fn what_is_open_is_known_by_its_number_and_its_path_below_a_volume() {
        let volumes = [("/www".to_owned(), PathBuf::from("/host/a")), ("/".to_owned(), PathBuf::from("/host/b"))];
        let mut paths = GuestPaths::new(&volumes, &[]);
        let opened = |paths: &GuestPaths, fd, path| {
            let place = paths.place(fd, path).expect("a place");
            OpenedPath { place, lookup: 1, rights: 2 }
        };
        assert_eq!((paths.first_opened(), paths.numbers().count()), (5, 0));
        let directory = opened(&paths, 3, "lib");
        paths.opened(5, directory);
        let file = opened(&paths, 5, "../a.py");
        assert_eq!(
            (file.place.volume, file.place.below.as_str(), file.place.guest.as_str()),
            (3, "lib/../a.py", "/www/a.py")
        );
        paths.opened(6, file);
        assert!(paths.has_opened(5) && !paths.has_opened(4) && !paths.has_opened(1));
        paths.closed(5);
        assert_eq!(paths.numbers().map(|path| path.is_some()).collect::<Vec<_>>(), [false, true]);
        paths.closed(6);
        assert_eq!(paths.numbers().count(), 2, "both numbers are free");
        assert!(paths.has_all_volumes());
        paths.closed(4);
        assert!(!paths.has_all_volumes());
    }
}
