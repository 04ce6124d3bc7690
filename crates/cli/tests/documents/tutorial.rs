//! The tutorial of the book, followed to the letter by the built program.
//!
//! Blocks of `sh` are run by a shell; in blocks of `console` so is what follows a `$`, and what stands below it is
//! compared with standard output in shape: lines and words, but not numbers, which depend on the processor.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::book::{Block, blocks, pages};

/// The port that the tutorial writes; the test takes any that is free.
const PORT: &str = "8080";

#[test]
fn the_tutorial_is_followed_to_its_end() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let tutorial = pages("en").into_iter().find(|page| page.name == "tutorial.md").expect("the tutorial");
    let mut reader = Reader { folder: place.path(), server: None };
    let (mut ran, mut compared) = (0, 0);
    for Block { language, text } in blocks(&tutorial.text) {
        match language.as_str() {
            "sh" => {
                reader.shell(&text);
                ran += 1;
            }
            "console" => {
                for (command, shown) in commands(&text) {
                    let printed = reader.types(&command);
                    assert_eq!(shape(&printed), shape(&shown), "`{command}` prints something else:\n{printed}");
                    ran += 1;
                    compared += usize::from(!shown.is_empty());
                }
            }
            _ => panic!("a block of {language:?} in the tutorial: only sh and console are run"),
        }
    }
    assert!(ran >= 15 && compared >= 10, "{ran} commands ran, {compared} outputs were compared");
}

/// The commands of a block, each with what is shown below it.
fn commands(text: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), String::new())),
            (None, Some((_, shown))) => {
                shown.push_str(line);
                shown.push('\n');
            }
            (None, None) => panic!("output before any command: {line}"),
        }
    }
    commands
}

/// Lines that say something, with numbers, signs, shades and verdicts taken out.
fn shape(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut kept = String::new();
        let mut before = ' ';
        let mut characters = line.chars().peekable();
        while let Some(c) = characters.next() {
            let within = before == '#' && ".,".contains(c) && characters.peek().is_some_and(char::is_ascii_digit);
            if c.is_ascii_digit() || within {
                if before != '#' {
                    kept.push('#');
                }
                before = '#';
            } else {
                if !"+-–±▲▼≈█▓▒░─".contains(c) {
                    kept.push(c);
                }
                before = c;
            }
        }
        let words: Vec<&str> = kept.split_whitespace().collect();
        if !words.is_empty() {
            lines.push(words.join(" "));
        }
    }
    lines
}

/// Someone who follows the tutorial in a folder.
struct Reader<'a> {
    folder: &'a Path,
    server: Option<(Child, String)>,
}

impl Reader<'_> {
    /// Types a command and returns what it prints.
    fn types(&mut self, command: &str) -> String {
        if command.starts_with("hinet serve ") {
            self.serve(command);
            return String::new();
        }
        match command.strip_prefix("curl -s -d @") {
            Some(request) => self.post(request),
            None => self.shell(command),
        }
    }

    /// A shell that stops at the first failure and knows `hinet`.
    fn shell(&self, script: &str) -> String {
        let output = self.command("sh").args(["-e", "-c", script]).output().expect("a shell");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\n{}: {errors}", output.status);
        String::from_utf8(output.stdout).expect("text")
    }

    fn command(&self, program: &str) -> Command {
        let hinet = Path::new(env!("CARGO_BIN_EXE_hinet")).parent().expect("the program's folder");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .current_dir(self.folder)
            .env("PATH", format!("{}:{path}", hinet.display()))
            .env("NO_COLOR", "1")
            .env_remove("COLUMNS");
        command
    }

    /// Starts the server and waits until it says where it listens.
    fn serve(&mut self, command: &str) {
        let words = command.replace(&format!("--port {PORT}"), "--port 0");
        assert_ne!(words, command, "the tutorial serves at another port");
        let words: Vec<&str> = words.split_whitespace().collect();
        let mut server = self.command(words[0]).args(&words[1..]).stderr(Stdio::piped()).spawn().expect("a server");
        let mut said = BufReader::new(server.stderr.take().expect("its standard error"));
        let mut line = String::new();
        let address = loop {
            line.clear();
            let read = said.read_line(&mut line).expect("text");
            if let Some(address) = line.trim().strip_prefix("listening at http://") {
                break address.to_owned();
            }
            assert!(read > 0, "the server ended before it listened");
        };
        // What it says further on has to go somewhere.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        self.server = Some((server, address));
    }

    /// What `curl -s -d @FILE URL` does.
    fn post(&self, request: &str) -> String {
        let (file, url) = request.split_once(' ').expect("a file and an address");
        let path = url.strip_prefix(&format!("http://127.0.0.1:{PORT}")).expect("the server's address");
        let (_, address) = self.server.as_ref().expect("a server that was started");
        let body = fs_err::read_to_string(self.folder.join(file)).expect("the file of the request");
        let mut stream = TcpStream::connect(address).expect("a connection");
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}", body.len());
        write!(stream, "{head}\r\n\r\n{body}").expect("a request that is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        body.to_owned()
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if let Some((server, _)) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
