//! What does a component of WASI 0.3 that is asked over HTTP see, and what can it do? It does what the first part of the path
//! below its route tells it.

use std::future::{Future, poll_fn};
use std::task::Poll;

use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response, Scheme, Trailers};
use wasip3::wit_bindgen::{FutureWriter, StreamReader, StreamWriter, spawn_local};
use wasip3::{wit_future, wit_stream};

struct Probe;

wasip3::http::service::export!(Probe);

type End = FutureWriter<Result<Option<Trailers>, ErrorCode>>;

impl wasip3::exports::http::handler::Guest for Probe {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = String::from_utf8_lossy(&request.get_headers().get("wagi-path-info").concat()).into_owned();
        let query = request.get_path_with_query().unwrap_or_default();
        let query = query.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default();
        let number = query.parse::<u64>().unwrap_or(0);
        match path.as_str() {
            "/request" => {
                let described = format!(
                    "{:?} {:?} {} {}\n",
                    request.get_method(),
                    request.get_scheme(),
                    request.get_authority().unwrap_or_default(),
                    request.get_path_with_query().unwrap_or_default()
                );
                Ok(answer(async move |mut body, end| {
                    body.write_all(described.into_bytes()).await;
                    drop(body);
                    let _ = end.write(Ok(None)).await;
                }))
            }
            "/echo" => {
                let (_, whole) = wit_future::new(|| Ok(()));
                let (mut sent, _trailers) = Request::consume_body(request, whole);
                Ok(answer(async move |mut body, end| {
                    pass(&mut sent, &mut body).await;
                    drop(body);
                    let _ = end.write(Ok(None)).await;
                }))
            }
            "/pieces" => Ok(answer(async move |mut body, end| {
                for piece in 0..number {
                    body.write_all(format!("piece {piece}\n").into_bytes()).await;
                    wait_for(30_000_000).await;
                }
                drop(body);
                let trailers = Fields::from_list(&[("x-after".to_owned(), b"1".to_vec())]).expect("a header");
                let _ = end.write(Ok(Some(trailers))).await;
            })),
            "/after" => Ok(answer(async move |mut body, end| {
                body.write_all(b"answered\n".to_vec()).await;
                drop(body);
                let _ = end.write(Ok(None)).await;
                wait_for(number * 1_000_000).await;
                eprintln!("done behind the answer");
            })),
            "/trap-late" => Ok(answer(async move |mut body, _end| {
                body.write_all(b"begun\n".to_vec()).await;
                wait_for(100_000_000).await;
                std::process::abort();
            })),
            "/spin" => loop {
                std::hint::spin_loop();
            },
            "/trap" => std::process::abort(),
            "/error" => Err(ErrorCode::LoopDetected),
            "/call" => {
                let answered = client::send(get(&query)).await;
                Ok(answer(async move |mut body, end| {
                    match answered {
                        Ok(response) => {
                            body.write_all(format!("{}\n", response.get_status_code()).into_bytes()).await;
                            let (_, whole) = wit_future::new(|| Ok(()));
                            let (mut got, _trailers) = Response::consume_body(response, whole);
                            pass(&mut got, &mut body).await;
                        }
                        Err(code) => drop(body.write_all(format!("{code:?}\n").into_bytes()).await),
                    }
                    drop(body);
                    let _ = end.write(Ok(None)).await;
                }))
            }
            "/leave" => leave(request, query).await,
            _ => Err(ErrorCode::DestinationNotFound),
        }
    }
}

/// A GET to be sent.
fn get(url: &str) -> Request {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let at = rest.find('/').unwrap_or(rest.len());
    let (_, none) = wit_future::new(|| Ok(None));
    let (call, _sent) = Request::new(Fields::new(), None, none, None);
    call.set_method(&Method::Get).expect("a method");
    call.set_scheme(Some(&if scheme == "https" { Scheme::Https } else { Scheme::Http })).expect("a scheme");
    call.set_authority(Some(&rest[..at])).expect("an authority");
    call.set_path_with_query(Some(&rest[at..])).expect("a path");
    call
}

/// `HOW,WHAT,WHEN,URL`. Leaves the body as HOW says (`read`: a read is begun and left; `cancel`: it is cancelled; `drop`: and the
/// body dropped), `before` or `behind` the head, and then does WHAT for ever: `sleep`, `spin` or `call` the URL.
async fn leave(request: Request, query: String) -> Result<Response, ErrorCode> {
    let parts: Vec<String> = query.splitn(4, ',').map(str::to_owned).collect();
    let work = async move |mut begun: Option<StreamWriter<u8>>| {
        let (_, whole) = wit_future::new(|| Ok(()));
        let (mut sent, _trailers) = Request::consume_body(request, whole);
        if let Some(begun) = &mut begun {
            begun.write_all(b"begun\n".to_vec()).await;
        }
        let mut read = Box::pin(sent.read(Vec::with_capacity(16)));
        poll_fn(|cx| {
            let _ = read.as_mut().poll(cx);
            Poll::Ready(())
        })
        .await;
        wait_for(50_000_000).await;
        match parts[0].as_str() {
            "read" => instead(&parts).await,
            "cancel" => {
                drop(read);
                instead(&parts).await;
            }
            _ => {
                drop(read);
                drop(sent);
                instead(&parts).await;
            }
        }
    };
    if query.split(',').nth(2) == Some("behind") {
        return Ok(answer(async move |body, _end| work(Some(body)).await));
    }
    work(None).await;
    Err(ErrorCode::LoopDetected)
}

async fn instead(parts: &[String]) {
    match parts[1].as_str() {
        "sleep" => wait_for(600_000_000_000).await,
        "spin" => loop {
            std::hint::spin_loop();
        },
        _ => drop(client::send(get(&parts[3])).await),
    }
}

/// An answer whose body is written while it is under way.
fn answer(write: impl AsyncFnOnce(StreamWriter<u8>, End) + 'static) -> Response {
    let (body, contents) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(Fields::new(), Some(contents), trailers);
    spawn_local(async move { write(body, end).await });
    response
}

async fn pass(from: &mut StreamReader<u8>, to: &mut StreamWriter<u8>) {
    loop {
        let (status, piece) = from.read(Vec::with_capacity(16 * 1024)).await;
        if !piece.is_empty() {
            to.write_all(piece).await;
        } else if matches!(status, wasip3::wit_bindgen::StreamResult::Dropped) {
            return;
        }
    }
}
