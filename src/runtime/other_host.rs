//! Which host was a module built for, if it imports what nothing here provides?
//!
//! The names of its imports tell. The list is of hosts that are met in the field, each with what the operator can do.

/// A host that provides what wagi does not.
#[derive(Debug)]
pub(in crate::runtime) struct OtherHost {
    /// What the imports are, for a message.
    pub what: &'static str,
    /// What the operator can do, if all imports are functions.
    cure: &'static str,
    is_asked_for_by: fn(&str, &str) -> bool,
}

/// What imports are that nothing provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportKind {
    /// All are functions. The program may never call them.
    Functions,
    /// Some are globals, tables, memories or tags, without which there is no instance.
    Objects,
}

macro_rules! trap {
    () => {
        "; if it never calls them, write `unknown_imports = \"trap\"`"
    };
}

/// Completes a cure. The program may never call what it imports.
macro_rules! or_trap {
    ($cure:literal) => {
        concat!($cure, trap!())
    };
}

/// The cure for imports that say nothing about their host.
pub(in crate::runtime) const UNKNOWN: &str =
    or_trap!("build the program for `wasm32-wasip1`, with the libraries that define these functions");

/// The hosts. The first that one of the imports is of counts.
const HOSTS: [OtherHost; 12] = [
    OtherHost {
        what: "functions of wasm-bindgen, for a JavaScript host",
        cure: or_trap!("build a program with a main function and without wasm-bindgen for `wasm32-wasip1`"),
        is_asked_for_by: |module, name| {
            module.contains("wbindgen") || module == "wbg" || name.starts_with("__wbindgen")
        },
    },
    OtherHost {
        what: "functions of Go, for a JavaScript host",
        cure: or_trap!("it was built with `GOOS=js`: build it with `GOOS=wasip1 GOARCH=wasm`"),
        is_asked_for_by: |module, _| module == "gojs" || module == "go",
    },
    OtherHost {
        what: "functions of ruby.wasm, for a JavaScript host",
        cure: or_trap!("take a build of Ruby without the library `js`, such as `ruby.wasm` of ruby-wasm-wasi"),
        is_asked_for_by: |module, _| module.starts_with("rb-js-abi-host") || module == "rb-abi-guest",
    },
    OtherHost {
        what: "functions of emscripten, for a JavaScript host",
        cure: or_trap!("build it with the WASI SDK, or with `emcc -sSTANDALONE_WASM`"),
        is_asked_for_by: is_emscripten,
    },
    OtherHost {
        what: "functions of WASIX, which Wasmer has beside WASI",
        cure: or_trap!("build it for `wasm32-wasip1` and not for `wasm32-wasmer-wasi`"),
        is_asked_for_by: |module, _| module.starts_with("wasix_"),
    },
    OtherHost {
        what: "threads of WASI",
        cure: "wagi runs each request in one thread: build for `wasm32-wasip1` and not for `wasm32-wasip1-threads`",
        is_asked_for_by: |module, name| module == "wasi" && name == "thread-spawn",
    },
    OtherHost {
        what: "functions of AssemblyScript, for a JavaScript host",
        cure: or_trap!("compile with `--config node_modules/@assemblyscript/wasi-shim/asconfig.json`"),
        is_asked_for_by: |module, name| module == "env" && ["abort", "seed", "trace", "console.log"].contains(&name),
    },
    OtherHost {
        what: "a memory that the host makes",
        cure: "link it without `--import-memory`",
        is_asked_for_by: |_, name| name == "memory",
    },
    OtherHost {
        what: "functions of the preview before `wasi_snapshot_preview1`",
        cure: "build it again with current tools",
        is_asked_for_by: |module, _| module == "wasi_unstable",
    },
    OtherHost {
        what: "sockets of WasmEdge, which it has beside WASI",
        cure: or_trap!("build it for `wasm32-wasip1` without them: guests call other servers over HTTP"),
        is_asked_for_by: |module, name| module == "wasi_snapshot_preview1" && name.starts_with("sock_"),
    },
    OtherHost {
        what: "functions of WasmEdge",
        cure: or_trap!("build it for `wasm32-wasip1` without them"),
        is_asked_for_by: |module, _| module.starts_with("wasmedge_") || module == "wasi_ephemeral_nn",
    },
    OtherHost {
        what: "functions that WASI preview 1 does not have",
        cure: or_trap!("build it again with current tools for `wasm32-wasip1`"),
        is_asked_for_by: |module, _| module.starts_with("wasi_"),
    },
];

/// No host: the linker leaves such imports.
const LINKER: OtherHost = OtherHost {
    what: "functions that its linker did not find",
    cure: or_trap!("link the library that defines them, or build for `wasm32-wasip1`"),
    is_asked_for_by: |module, _| module == "env",
};

/// Any host that loads parts of programs.
const LOADER: OtherHost = OtherHost {
    what: "a global, table or tag that the host makes",
    cure: "link it to a whole program, without `-shared`, `--import-table` and the like: `unknown_imports` is for functions",
    is_asked_for_by: |_, _| true,
};

impl OtherHost {
    /// The host that one of these imports is of. Each is a module and a name.
    pub fn of(imports: &[(String, String)], kind: ImportKind) -> Option<&'static Self> {
        let others = match kind {
            ImportKind::Functions => &LINKER,
            ImportKind::Objects => &LOADER,
        };
        let mut hosts = HOSTS.iter().chain([others]);
        hosts.find(|host| imports.iter().any(|(module, name)| (host.is_asked_for_by)(module, name)))
    }

    /// What the operator can do. What is no function cannot end its guest when it is called.
    pub fn cure(&self, kind: ImportKind) -> &'static str {
        match kind {
            ImportKind::Functions => self.cure,
            ImportKind::Objects => self.cure.strip_suffix(trap!()).unwrap_or(self.cure),
        }
    }
}

fn is_emscripten(module: &str, name: &str) -> bool {
    let starts = ["emscripten_", "_emscripten_", "invoke_", "__syscall_", "__cxa_", "_embind_"];
    // emscripten shortens the names when it optimizes.
    module == "env" && starts.iter().any(|start| name.starts_with(start)) || module == "a" && name.len() < 3
}

#[cfg(test)]
mod tests {
    use crate::runtime::other_host::*;

    #[test]
    fn imports_of_other_hosts_are_named_and_have_a_cure() {
        for (module, name, what, cure) in [
            ("__wbindgen_placeholder__", "__wbindgen_describe", "wasm-bindgen", "without wasm-bindgen"),
            ("wbg", "__wbg_log_1", "wasm-bindgen", "without wasm-bindgen"),
            ("env", "__wbindgen_throw", "wasm-bindgen", "without wasm-bindgen"),
            ("gojs", "runtime.wasmExit", "Go", "GOOS=wasip1"),
            ("go", "debug", "Go", "GOOS=wasip1"),
            ("rb-js-abi-host", "eval-js: func(code: string)", "ruby.wasm", "without the library `js`"),
            ("env", "emscripten_memcpy_js", "emscripten", "WASI SDK"),
            ("env", "__syscall_openat", "emscripten", "WASI SDK"),
            ("a", "b", "emscripten", "WASI SDK"),
            ("wasix_32v1", "futex_wait", "WASIX", "wasm32-wasip1"),
            ("wasi", "thread-spawn", "threads", "one thread"),
            ("env", "abort", "AssemblyScript", "wasi-shim"),
            ("env", "memory", "memory", "--import-memory"),
            ("wasi_unstable", "fd_nothing", "preview", "again"),
            ("wasi_snapshot_preview1", "sock_open", "WasmEdge", "over HTTP"),
            ("wasi_snapshot_preview1", "fd_nothing", "preview 1", "again"),
            ("env", "magic", "linker", "link the library"),
        ] {
            let imports = [("other".into(), "thing".into()), (module.into(), name.into())];
            let found = OtherHost::of(&imports, ImportKind::Functions);
            let found = found.unwrap_or_else(|| panic!("{module}.{name}"));
            assert!(found.what.contains(what) && found.cure.contains(cure), "{module}.{name}: {found:?}");
        }
        assert!(OtherHost::of(&[("other".into(), "thing".into())], ImportKind::Functions).is_none());
    }

    #[test]
    fn what_is_no_function_is_not_told_to_trap() {
        for (module, name, what) in [
            ("env", "__stack_pointer", "a global, table or tag"),
            ("other", "thing", "a global, table or tag"),
            ("env", "memory", "a memory"),
            ("env", "emscripten_memcpy_js", "emscripten"),
        ] {
            let found = OtherHost::of(&[(module.into(), name.into())], ImportKind::Objects).expect(name);
            assert!(found.what.contains(what), "{module}.{name}: {found:?}");
            assert!(!found.cure(ImportKind::Objects).contains("trap"), "{module}.{name}: {found:?}");
        }
    }
}
