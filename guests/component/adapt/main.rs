//! How does a core module become a component? `adapt command|reactor MODULE COMPONENT`

use wasi_preview1_component_adapter_provider as adapter;
use wit_component::ComponentEncoder;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, module, component] = &arguments[..] else { panic!("three arguments are wanted") };
    let adapter = match kind.as_str() {
        "command" => adapter::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
        "reactor" => adapter::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        kind => panic!("there is no adapter for a {kind}"),
    };
    let module = std::fs::read(module).expect("the module can be read");
    let mut encoder = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.adapter("wasi_snapshot_preview1", adapter))
        .expect("the module can be adapted");
    std::fs::write(component, encoder.encode().expect("it makes a component")).expect("it can be written");
}
