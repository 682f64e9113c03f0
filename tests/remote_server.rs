//! A server of Spark Connect that is made up, down to the frames of HTTP/2: it gives the answers that a test wrote, one
//! for each request, whatever that is.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use polars_arrow::array::PrimitiveArray;
use polars_arrow::datatypes::{ArrowDataType, ArrowSchema, Field};
use polars_arrow::io::ipc::write::{StreamWriter, WriteOptions};
use polars_arrow::record_batch::RecordBatch;

use crate::command::{err, out, timelab};

/// An answer: its messages, then a status of gRPC with its words; none where the connection breaks instead.
struct Answer {
    messages: Vec<Vec<u8>>,
    status: Option<(u8, &'static str)>,
}

impl Answer {
    fn good(messages: &[Vec<u8>]) -> Answer {
        Answer { messages: messages.to_vec(), status: Some((0, "")) }
    }
}

/// The port of a server with these answers, after one to what the client sets.
fn server(answers: Vec<Answer>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let port = listener.local_addr().expect("it listens").port();
    std::thread::spawn(move || {
        let mut answers = vec![Answer::good(&[Vec::new()])].into_iter().chain(answers);
        for stream in listener.incoming() {
            // The first connection only looks whether somebody listens.
            let _ = stream.and_then(|stream| serve(stream, &mut answers));
        }
    });
    port
}

fn serve(mut stream: TcpStream, answers: &mut impl Iterator<Item = Answer>) -> io::Result<()> {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    let mut preface = [0; 24];
    stream.read_exact(&mut preface)?;
    frame(&mut stream, SETTINGS, 0, 0, &[])?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        match kind {
            SETTINGS if flags & 1 == 0 => frame(&mut stream, SETTINGS, 1, 0, &[])?,
            PING if flags & 1 == 0 => frame(&mut stream, PING, 1, 0, &body)?,
            DATA if flags & 1 == 1 => {
                let Some(answer) = answers.next() else { return Ok(()) };
                let mut block = vec![0x88];
                block.extend(header("content-type", "application/grpc"));
                frame(&mut stream, HEADERS, 4, number, &block)?;
                for message in &answer.messages {
                    let mut data = vec![0];
                    data.extend((message.len() as u32).to_be_bytes());
                    data.extend(message);
                    frame(&mut stream, DATA, 0, number, &data)?;
                }
                let Some((status, words)) = answer.status else { return Ok(()) };
                let trailers = [header("grpc-status", &status.to_string()), header("grpc-message", words)].concat();
                frame(&mut stream, HEADERS, 5, number, &trailers)?;
            }
            _ => {}
        }
    }
}

fn frame(stream: &mut TcpStream, kind: u8, flags: u8, number: u32, body: &[u8]) -> io::Result<()> {
    let mut bytes = (body.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(number.to_be_bytes());
    bytes.extend(body);
    stream.write_all(&bytes)
}

/// A header that is written out.
fn header(name: &str, value: &str) -> Vec<u8> {
    [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

/// A field of a message: bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut made = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        made.push(length as u8 | 0x80);
        length >>= 7;
    }
    made.push(length as u8);
    made.extend(bytes);
    made
}

/// A batch that announces so many rows.
fn batch(rows: u8, data: &[u8]) -> Vec<u8> {
    field(2, &[vec![1 << 3, rows], field(2, data)].concat())
}

fn complete() -> Vec<u8> {
    field(14, &[])
}

/// An Arrow stream of one column with this int.
fn arrow(value: i64) -> Vec<u8> {
    let mut schema = ArrowSchema::default();
    schema.insert("c0".into(), Field::new("c0".into(), ArrowDataType::Int64, true));
    let mut stream = Vec::new();
    let mut writer = StreamWriter::new(&mut stream, WriteOptions { compression: None });
    writer.start(&schema, None).expect("a vector takes it");
    let column = PrimitiveArray::<i64>::from(vec![Some(value)]).boxed();
    writer.write(&RecordBatch::new(1, schema.into(), vec![column]), None).expect("a vector takes it");
    writer.finish().expect("a vector takes it");
    stream
}

fn said(answers: Vec<Answer>) -> (String, String, Option<i32>) {
    let cell = format!("1..10 | sum | on spark \"sc://127.0.0.1:{}/;token=sesame\"", server(answers));
    let output = timelab(&["--format", "csv", "-c", &cell], "");
    (out(&output), err(&output), output.status.code())
}

#[track_caller]
fn fails(answer: Answer, words: &[&str]) {
    // What follows a failure is asked as well: to stop, to forget.
    let (out, err, status) = said(vec![answer, Answer::good(&[Vec::new()])]);
    assert_eq!((out.as_str(), status), ("", Some(1)), "{err}");
    for word in words {
        assert!(err.contains(word), "no `{word}` in: {err}");
    }
    assert!(!err.contains("sesame"), "{err}");
}

#[test]
fn a_whole_result_is_a_table() {
    let answer = Answer::good(&[batch(1, &arrow(45)), complete()]);
    let (out, err, status) = said(vec![answer, Answer::good(&[Vec::new()])]);
    assert_eq!((out.as_str(), status), ("sum\n45\n", Some(0)), "{err}");
    assert!(err.contains("spark"), "{err}");
}

#[test]
fn a_result_without_its_end_mark_is_a_failure() {
    fails(Answer::good(&[batch(1, &arrow(45))]), &["spark", "without the mark of a whole result"]);
    fails(Answer::good(&[]), &["spark", "without the mark of a whole result"]);
}

#[test]
fn a_damaged_result_is_a_failure() {
    let whole = arrow(45);
    fails(Answer::good(&[batch(1, &whole[..whole.len() / 2]), complete()]), &["spark"]);
    fails(Answer::good(&[batch(1, b"no arrow at all"), complete()]), &["spark", "cannot be read"]);
    fails(Answer::good(&[batch(2, &whole), complete()]), &["spark announced 2 rows and sent 1"]);
    // No batch at all is no table with a row of a sum, but an empty one is a table: the mark decides.
    let (out, _, status) = said(vec![Answer::good(&[complete()]), Answer::good(&[Vec::new()])]);
    assert_eq!((out.as_str(), status), ("sum\n", Some(0)));
}

#[test]
fn statuses_of_the_server_are_errors() {
    let status = |code, words| Answer { messages: Vec::new(), status: Some((code, words)) };
    fails(status(16, "bad token"), &["spark refuses the token: bad token"]);
    fails(status(13, "[UNRESOLVED_COLUMN] no c7"), &["spark failed: [UNRESOLVED_COLUMN] no c7"]);
    fails(status(13, "[DIVIDE_BY_ZERO] Division"), &["division by zero"]);
    fails(status(14, "gone"), &["spark: the connection was lost: gone"]);
    fails(status(2, "timelab:objection:the text is strange"), &["spark", "cannot run this: the text is strange"]);
}

#[test]
fn a_server_that_ends_in_the_middle_is_a_failure() {
    fails(Answer { messages: vec![batch(1, &arrow(45))], status: None }, &["spark"]);
}
