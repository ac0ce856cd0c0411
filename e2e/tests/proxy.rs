//! `http://api.localhost:PORT/`: a service under its name, wherever it is; streams and upgrades pass, and who is not there is
//! told to be so.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use e2e::{LIMIT, Project, free_port, is_free, program, skip_loudly, wait_until};

/// Answers with what it was asked, in two parts of which the second waits for the file `go`; after an upgrade it gives back
/// what comes in.
const SERVICE: &str = r#"
import os, socket, threading, time
def serve(c):
    head = b""
    while b"\r\n\r\n" not in head:
        head += c.recv(4096)
    head, body = head.split(b"\r\n\r\n", 1)
    if b"upgrade: echo" in head.lower():
        c.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        while True:
            some = c.recv(4096)
            if not some: return c.close()
            c.sendall(some)
    chunk = lambda b: c.sendall(b"%x\r\n%s\r\n" % (len(b), b))
    c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk(head.lower())
    while not os.path.exists("go"): time.sleep(0.01)
    chunk(b"[the end of " + os.environ["PORT"].encode() + b"]")
    c.sendall(b"0\r\n\r\n")
    c.close()
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(os.environ["PORT"])))
s.listen()
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"#;

fn ask(proxy: u16, host: &str, more: &str) -> TcpStream {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(stream, "GET /some/path?a=1 HTTP/1.1\r\nHost: {host}:{proxy}\r\n{more}\r\n").unwrap();
    stream
}

/// Reads until something was said.
#[track_caller]
fn read_until(stream: &mut TcpStream, words: &str) -> String {
    let (mut said, mut some) = (String::new(), [0; 4096]);
    while !said.contains(words) {
        let count = stream.read(&mut some).unwrap_or_else(|e| panic!("{e}: no `{words}` in {said}"));
        assert!(count > 0, "no `{words}` in {said}");
        said.push_str(&String::from_utf8_lossy(&some[..count]));
    }
    said
}

#[test]
fn a_service_is_found_by_its_name_wherever_it_is() {
    if program("python3").is_none() {
        return skip_loudly("no python3");
    }
    let (proxy, first, spare) = (free_port(), free_port(), free_port());
    let project = Project::new(&format!(
        "[project]\nproxy = {proxy}\n[services.api]\ncommand = [\"python3\", \"api.py\"]\n\
         port = {{ prefer = {first}, else = {spare} }}\n[services.deaf]\ncommand = \"sleep 1000\"\n"
    ));
    project.write("api.py", SERVICE);
    project.soloist(&["up", "-d"]).expect(0);
    wait_until("the proxy listens", LIMIT, || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, proxy)).map_err(|e| format!("{e}\n{}", project.diary()))
    });

    let mut streamed = ask(proxy, "API.localhost", "Connection: close\r\n");
    let head = read_until(&mut streamed, &format!("x-forwarded-host: api.localhost:{proxy}"));
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("get /some/path?a=1 http/1.1"), "{head}");
    assert!(!head.contains("the end of"), "the first part comes before the second is there: {head}");
    project.write("go", "");
    read_until(&mut streamed, &format!("[the end of {first}]"));

    let mut upgraded = ask(proxy, "api.localhost", "Connection: Upgrade\r\nUpgrade: echo\r\n");
    read_until(&mut upgraded, "101 Switching Protocols");
    for words in ["one", "two"] {
        upgraded.write_all(words.as_bytes()).unwrap();
        read_until(&mut upgraded, words);
    }
    drop(upgraded);

    for (host, status, words) in [
        ("apy.localhost", "404", "api.localhost"),
        ("api.example.org", "404", "nobody is called"),
        ("deaf.localhost", "503", "deaf has no port"),
    ] {
        let said = read_until(&mut ask(proxy, host, "Connection: close\r\n"), words);
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{said}");
    }
    project.soloist(&["stop", "api"]).expect(0);
    let said = read_until(&mut ask(proxy, "api.localhost", "Connection: close\r\n"), "api is stopped");
    assert!(said.starts_with("HTTP/1.1 503"), "{said}");

    let _stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
    project.soloist(&["start", "api"]).expect(0);
    read_until(&mut ask(proxy, "api.localhost", "Connection: close\r\n"), &format!("[the end of {spare}]"));
    project.soloist(&["down"]).expect(0);
    assert!(is_free(proxy), "it ends with the daemon");
}
