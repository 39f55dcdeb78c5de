//! A server on this machine that takes what is sent to it, and answers as it is told. It speaks just enough HTTP.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Channel, Sender, channel};

/// How a request is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// With this status.
    Status(u16),
    /// Not at all, and the connection stays.
    Hang,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// It, listening.
pub(crate) struct Receiver {
    address: String,
    came: Channel<Request>,
}

impl Receiver {
    /// Answers one request after the other with these, and all that follow with the last.
    pub(crate) fn start(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, came) = channel();
        let answers = answers.to_vec();
        std::thread::spawn(move || serve(&listener, &answers, &sender));
        Self { address, came }
    }

    /// `http://HOST:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came until now.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.came.try_iter().collect()
    }
}

/// The address of a port where nobody listens.
pub(crate) fn nobody() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

fn serve(listener: &TcpListener, answers: &[Answer], sender: &Sender<Request>) {
    let mut hanging = Vec::new();
    for number in 0.. {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let Some(request) = read(&stream) else { continue };
        let answer = answers.get(number).or(answers.last()).copied().unwrap_or(Answer::Status(200));
        // Told before it is answered, so that whoever waited for the answer finds it.
        if sender.send(request).is_err() {
            return;
        }
        match answer {
            Answer::Hang => hanging.push(stream),
            Answer::Status(status) => {
                let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                _ = stream.write_all(answer.as_bytes());
            }
        }
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { path, headers, body })
}
