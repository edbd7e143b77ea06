//! The part of the PostgreSQL protocol that runs a statement.
//!
//! It needs neither `psql`, which some packages leave out, nor a client
//! library, which the code under test may be.

use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Rows of columns as text; `None` is NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// Version 3.0 of the protocol.
const PROTOCOL: u32 = 3 << 16;

/// Runs `sql` over a fresh connection and returns the rows of its statements.
pub(crate) fn query(
    socket: &Path,
    database: &str,
    sql: &str,
    within: Duration,
) -> io::Result<Rows> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    let mut connection = BufReader::new(stream);

    let parameters = format!("user\0postgres\0database\0{database}\0\0");
    let mut startup = PROTOCOL.to_be_bytes().to_vec();
    startup.extend_from_slice(parameters.as_bytes());
    send(&mut connection, None, &startup)?;
    read_until_ready(&mut connection)?;

    send(&mut connection, Some(b'Q'), format!("{sql}\0").as_bytes())?;
    let rows = read_until_ready(&mut connection)?;
    send(&mut connection, Some(b'X'), b"")?;
    Ok(rows)
}

fn send(connection: &mut BufReader<UnixStream>, kind: Option<u8>, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len() + 4).map_err(io::Error::other)?;
    let mut message: Vec<u8> = kind.into_iter().collect();
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(body);
    connection.get_mut().write_all(&message)
}

/// Reads up to ReadyForQuery. Returns the rows read, or the first error.
fn read_until_ready(connection: &mut impl Read) -> io::Result<Rows> {
    let mut rows = Rows::new();
    let mut failure = None;
    loop {
        let kind = read_array::<1>(connection)?[0];
        let length = u32::from_be_bytes(read_array(connection)?);
        let mut body = vec![0; length.saturating_sub(4) as usize];
        connection.read_exact(&mut body)?;
        match kind {
            b'D' => rows.push(read_row(&mut body.as_slice())?),
            b'E' => failure = failure.or_else(|| Some(error_message(&body))),
            b'R' if body != [0; 4] => failure = Some("the server requires a password".into()),
            b'Z' => return failure.map_or(Ok(rows), |message| Err(io::Error::other(message))),
            // Parameters, notices, column names, command tags.
            _ => {}
        }
        // A refused connection ends without ReadyForQuery.
        if let Some(message) = failure.take_if(|message| message.starts_with("FATAL")) {
            return Err(io::Error::other(message));
        }
    }
}

fn read_row(body: &mut &[u8]) -> io::Result<Vec<Option<String>>> {
    let columns = u16::from_be_bytes(read_array(body)?);
    let column = |_| {
        // A length of -1 is NULL.
        let Ok(length) = usize::try_from(i32::from_be_bytes(read_array(body)?)) else {
            return Ok(None);
        };
        let mut text = vec![0; length];
        body.read_exact(&mut text)?;
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    };
    (0..columns).map(column).collect()
}

/// Returns severity, SQLSTATE and message of an ErrorResponse.
fn error_message(body: &[u8]) -> String {
    let field = |kind: u8| {
        let fields = body.split(|&byte| byte == 0);
        let found = fields
            .filter_map(|field| field.split_first())
            .find(|(it, _)| **it == kind);
        found
            .map(|(_, text)| String::from_utf8_lossy(text).into_owned())
            .unwrap_or_default()
    };
    format!("{} {}: {}", field(b'S'), field(b'C'), field(b'M'))
}

fn read_array<const N: usize>(connection: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    connection.read_exact(&mut bytes)?;
    Ok(bytes)
}
