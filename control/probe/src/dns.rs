//! A DNS query over UDP, and whether its answer is good.

mod message;

use crate::patience::Patience;
use crate::target::{Dns, RecordType};
use crate::{Failure, Target, socket};
use message::{Answer, Query};
use std::fmt::{self, Display};
use std::io;
use tokio::net::UdpSocket;

/// More than an answer may have that was not asked for by EDNS (RFC 1035, section 4.2.1).
const LARGEST: usize = 4096;

/// Whether the query has a good answer.
pub async fn probe(target: &Target, dns: &Dns, patience: &Patience) -> Result<(), Failure> {
    let whom = target.whom();
    let mut id = [0; 2];
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())
        .map_err(|e| Failure::ours(whom, e))?;
    let query = Query::new(u16::from_be_bytes(id), dns).map_err(|e| Failure::ours(whom, e))?;
    let socket = socket::udp(target)?;
    let mut strangers = 0_u64;
    let answer = answer(&socket, &query, &mut strangers);
    let verdict = match socket::insist(&socket, query.bytes(), answer, patience).await {
        Ok(Ok(answer)) => judge(&answer, dns),
        Ok(Err(e)) if e.kind() == io::ErrorKind::ConnectionRefused => {
            return Err(Failure::theirs(format!("{whom} has no DNS server: port unreachable")));
        }
        Ok(Err(e)) => {
            return Err(Failure::of_socket(whom, &e, || format!("no query reaches {whom}: {e}")));
        }
        Err(_) if strangers == 0 => Err(format!("sent no answer within {}", patience.whole())),
        Err(_) => Err(format!(
            "sent no answer within {}, but {strangers} with another id or none",
            patience.whole()
        )),
    };
    verdict.map_err(|what| Failure::theirs(format!("{whom} {what}")))
}

/// Waits for the query's answer. What bears another id answers something else, such as
/// an earlier query from the same port, and is only counted.
async fn answer(socket: &UdpSocket, query: &Query, strangers: &mut u64) -> io::Result<Answer> {
    let mut packet = [0; LARGEST];
    loop {
        let length = socket.recv(&mut packet).await?;
        match query.read(&packet[..length]) {
            Answer::Stranger => *strangers += 1,
            answer => return Ok(answer),
        }
    }
}

/// What is wrong with an answer.
fn judge(answer: &Answer, dns: &Dns) -> Result<(), String> {
    let Dns { name, kind, expect } = dns;
    let (count, addresses, cut) = match answer {
        Answer::Stranger | Answer::Unreadable => return Err("sent an unreadable answer".into()),
        Answer::OtherQuestion => {
            return Err(format!("answered another question than {name} {kind}"));
        }
        Answer::Refusal(code) => return Err(format!("answered {code} for {name} {kind}")),
        Answer::Records { count, addresses, cut } => (*count, addresses, *cut),
    };
    let good = match expect {
        Some(expected) => addresses.contains(expected),
        None => count > 0,
    };
    if good {
        return Ok(());
    }
    let missing = expect.map_or_else(|| "a record".into(), |expected| expected.to_string());
    let how = if cut { " with a truncated message" } else { "" };
    Err(format!("answered {name} {kind}{how} without {missing}"))
}

impl Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Ns => "NS",
            Self::Soa => "SOA",
            Self::Txt => "TXT",
            Self::Mx => "MX",
        })
    }
}
