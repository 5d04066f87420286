//! What does a component of WASI 0.3 that is run through `wasi:cli` see? It prints its arguments, its variables and its
//! standard input, or does what the first argument ends with.

use wasip3::cli::{environment, stdin, stdout};
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use wasip3::wit_stream;

struct Probe;

wasip3::cli::command::export!(Probe);

impl wasip3::exports::cli::run::Guest for Probe {
    async fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        let (mut out, printed) = wit_stream::new();
        let all_printed = stdout::write_via_stream(printed);
        if arguments.first().is_some_and(|first| first.ends_with("/fail")) {
            return Err(());
        }
        if arguments.first().is_some_and(|first| first.ends_with("/much")) {
            out.write_all(b"Content-Type: text/plain\n\n".to_vec()).await;
            while out.write_all(vec![b'x'; 16 * 1024]).await.is_empty() {}
            return Ok(());
        }
        if arguments.first().is_some_and(|first| first.ends_with("/files")) {
            out.write_all(b"Content-Type: text/plain\n\n".to_vec()).await;
            for (directory, path) in get_directories() {
                let inside = read(&directory, "there.txt").await;
                let stored = write(&directory, "new.txt").await;
                let outside = read(&directory, "../there.txt").await;
                out.write_all(format!("{path} {inside:?} {stored:?} {outside:?}\n").into_bytes()).await;
            }
            drop(out);
            let _ = all_printed.await;
            return Ok(());
        }
        let mut text = format!("Content-Type: text/plain\n\n{arguments:?}\n");
        for (name, value) in environment::get_environment() {
            text += &format!("{name}={value}\n");
        }
        out.write_all(text.into_bytes()).await;
        let (mut input, _whole) = stdin::read_via_stream();
        loop {
            let (status, piece) = input.read(Vec::with_capacity(16 * 1024)).await;
            if !piece.is_empty() {
                out.write_all(piece).await;
            } else if matches!(status, wasip3::wit_bindgen::StreamResult::Dropped) {
                break;
            }
        }
        drop(out);
        let _ = all_printed.await;
        Ok(())
    }
}

async fn read(directory: &Descriptor, name: &str) -> Result<String, ErrorCode> {
    let opening = directory.open_at(PathFlags::empty(), name.to_owned(), OpenFlags::empty(), DescriptorFlags::READ);
    let file = opening.await?;
    let (content, whole) = file.read_via_stream(0);
    let content = content.collect().await;
    whole.await?;
    Ok(String::from_utf8_lossy(&content).into_owned())
}

async fn write(directory: &Descriptor, name: &str) -> Result<(), ErrorCode> {
    let opening = directory.open_at(PathFlags::empty(), name.to_owned(), OpenFlags::CREATE, DescriptorFlags::WRITE);
    let file = opening.await?;
    let (mut content, data) = wit_stream::new();
    let whole = file.write_via_stream(data, 0);
    content.write_all(b"stored".to_vec()).await;
    drop(content);
    whole.await
}
