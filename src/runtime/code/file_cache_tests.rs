//! What was inserted is found, and nothing else is run.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::thread;

use wasmtime::component::Component;
use wasmtime::{Engine, Instance, Module, Store};

use crate::regular_file::tests::make_pipe;
use crate::runtime::code::file_cache::*;
use crate::runtime::code::sealed::CHECKSUM_LENGTH;

const MODULE: &str =
    r#"(module (memory 1) (data (i32.const 5) "data") (func (export "f") (result i32) (i32.load8_u (i32.const 5))))"#;
const NAME: &str = "0123456789abcdef";

fn file(directory: &Path) -> PathBuf {
    let mut files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let file = files.next().expect("a file");
    assert_eq!(files.next(), None);
    file
}

fn call(module: &Module) -> i32 {
    let mut store = Store::new(module.engine(), ());
    let instance = Instance::new(&mut store, module, &[]).unwrap();
    instance.get_typed_func::<(), i32>(&mut store, "f").unwrap().call(&mut store, ()).unwrap()
}

fn filled(directory: &Path) -> (FileCache, Engine) {
    let engine = Engine::default();
    let cache = FileCache::open(directory).unwrap();
    let code = Module::new(&engine, MODULE).unwrap().serialize().unwrap();
    cache.insert(NAME, &engine, code.as_slice()).unwrap();
    (cache, engine)
}

#[test]
fn what_was_inserted_is_found_by_the_same_engine_only() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, engine) = filled(directory.path());
    assert_eq!(call(&cache.get::<Module>(NAME, &engine).unwrap()), i32::from(b'd'));
    assert!(cache.get::<Module>("fedcba9876543210", &engine).is_none());
    assert_eq!(fs::metadata(file(directory.path())).unwrap().mode() & 0o777, 0o600);
    let other = Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
    assert!(cache.get::<Module>(NAME, &other).is_none());
}

#[test]
fn a_damaged_file_is_not_run_whichever_byte_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, engine) = filled(directory.path());
    let path = file(directory.path());
    let whole = fs::read(&path).unwrap();
    let step = (whole.len() / 300).max(1);
    for at in (0..whole.len()).step_by(step) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, damaged).unwrap();
        assert!(cache.get::<Module>(NAME, &engine).is_none(), "byte {at}");
    }
    for length in [0, 1, CHECKSUM_LENGTH - 1, CHECKSUM_LENGTH, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(cache.get::<Module>(NAME, &engine).is_none(), "{length} bytes");
    }
    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    assert!(cache.get::<Module>(NAME, &engine).is_none());
    fs::write(&path, whole).unwrap();
    assert!(cache.get::<Module>(NAME, &engine).is_some());
}

#[test]
fn the_code_of_one_module_does_not_pass_for_that_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, engine) = filled(directory.path());
    let path = file(directory.path());
    let other = path.to_str().unwrap().replace(NAME, "fedcba9876543210");
    fs::copy(&path, other).unwrap();
    assert!(cache.get::<Module>("fedcba9876543210", &engine).is_none());
}

#[test]
fn described_code_is_found_whole_or_removed() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::default();
    let cache = FileCache::open(directory.path()).unwrap();
    let module = Module::new(&engine, MODULE).unwrap();
    let code = module.serialize().unwrap();
    let insert = |description: &str| {
        cache.insert_described(NAME, &engine, code.as_slice(), description.as_bytes()).unwrap();
    };
    insert("");
    insert("what it is");
    let found = cache.described(NAME, &engine).expect("it was inserted");
    assert_eq!((call(&found.module), found.description.as_slice()), (i32::from(b'd'), "what it is".as_bytes()));
    let path = file(directory.path());
    let whole = fs::read(&path).unwrap();
    let end = whole.len() - CHECKSUM_LENGTH;
    for at in [0, whole.len() / 2, end - 12, end - 8, end - 1, end, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, damaged).unwrap();
        assert!(cache.described(NAME, &engine).is_none(), "byte {at}");
        assert!(!path.exists(), "it is removed");
    }
    // Code of a module has no description, and its last bytes are no length of one.
    cache.insert(NAME, &engine, code.as_slice()).unwrap();
    let description = cache.described(NAME, &engine).map(|found| found.description.len());
    assert!(description.is_none_or(|length| length < whole.len()));
    insert("again");
    fs::set_permissions(&path, Permissions::from_mode(0o602)).unwrap();
    assert!(cache.described(NAME, &engine).is_none(), "others may write");
}

#[test]
fn what_others_could_have_written_is_not_run() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, engine) = filled(directory.path());
    let path = file(directory.path());
    for mode in [0o620, 0o602] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert!(cache.get::<Module>(NAME, &engine).is_none(), "{mode:o}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(&path).unwrap();
    make_pipe(&path);
    assert!(cache.get::<Module>(NAME, &engine).is_none(), "a pipe");
    fs::remove_file(&path).unwrap();
    cache.insert(NAME, &engine, Module::new(&engine, MODULE).unwrap().serialize().unwrap().as_slice()).unwrap();
    let elsewhere = directory.path().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    assert!(cache.get::<Module>(NAME, &engine).is_none(), "a link");

    for mode in [0o770, 0o707] {
        fs::set_permissions(directory.path(), Permissions::from_mode(mode)).unwrap();
        let error = FileCache::open(directory.path()).unwrap_err();
        assert!(matches!(error, CacheError::Exposed(_)), "{mode:o}");
    }
    let (linked, target) = (directory.path().join("linked"), tempfile::tempdir().unwrap());
    std::os::unix::fs::symlink(target.path(), &linked).unwrap();
    assert!(matches!(FileCache::open(&linked), Err(CacheError::Open(_))));
}

#[test]
fn a_directory_is_made_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (_, _) = filled(&directory.path().join("a/b"));
    for made in ["a", "a/b"] {
        assert_eq!(fs::metadata(directory.path().join(made)).unwrap().mode() & 0o777, 0o700, "{made}");
    }
}

#[test]
fn many_that_insert_and_get_at_once_see_whole_files() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, engine) = filled(directory.path());
    let code = Module::new(&engine, MODULE).unwrap().serialize().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    cache.insert(NAME, &engine, code.as_slice()).unwrap();
                    assert!(cache.get::<Module>(NAME, &engine).is_some());
                }
            });
        }
    });
    file(directory.path());
}

#[test]
fn what_is_mapped_survives_the_removal_of_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, engine) = filled(directory.path());
    let module = cache.get::<Module>(NAME, &engine).unwrap();
    fs::remove_file(file(directory.path())).unwrap();
    assert_eq!(call(&module), i32::from(b'd'));
}

const COMPONENT: &str = r#"(component
    (core module $m (func (export "f") (result i32) i32.const 7))
    (core instance $i (instantiate $m))
    (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;

#[test]
fn components_are_found_as_well_and_a_damaged_one_is_not_run() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::default();
    let cache = FileCache::open(directory.path()).unwrap();
    cache.insert(NAME, &engine, Component::new(&engine, COMPONENT).unwrap().serialize().unwrap().as_slice()).unwrap();
    let component = cache.get::<Component>(NAME, &engine).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = wasmtime::component::Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    let function = instance.get_typed_func::<(), (u32,)>(&mut store, "f").unwrap();
    assert_eq!(function.call(&mut store, ()).unwrap(), (7,));
    assert!(cache.get::<Module>(NAME, &engine).is_none());

    let path = file(directory.path());
    let whole = fs::read(&path).unwrap();
    for at in [0, whole.len() / 2, whole.len() - CHECKSUM_LENGTH, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, damaged).unwrap();
        assert!(cache.get::<Component>(NAME, &engine).is_none(), "byte {at}");
    }
    for length in [0, CHECKSUM_LENGTH, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(cache.get::<Component>(NAME, &engine).is_none(), "{length} bytes");
    }
    fs::write(&path, whole).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o620)).unwrap();
    assert!(cache.get::<Component>(NAME, &engine).is_none(), "others may write");
}
