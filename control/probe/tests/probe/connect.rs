use crate::{LONG, SHORT, fault, ours, run, says, target};
use probe::Probe;
use std::io::ErrorKind;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

#[tokio::test]
async fn an_open_port_is_up_and_sees_a_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(listener.local_addr().unwrap(), Probe::Connect);
    run(&target, LONG).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_closed_port_refuses() {
    // The port is taken, but nobody listens.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let target = target(socket.local_addr().unwrap(), Probe::Connect);
    let reason = fault(&target, LONG).await;
    assert_eq!(reason, format!("{} refuses the connection", target.address));
}

#[tokio::test]
async fn who_takes_no_connection_is_given_up() {
    // A full queue: the kernel drops further attempts.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let target = target(listener.local_addr().unwrap(), Probe::Connect);
    let _waiting = TcpStream::connect(target.address).await.unwrap();
    let reason = fault(&target, SHORT).await;
    says(&reason, &[&target.address.to_string(), "did not answer a connection within 500 ms"]);
}

#[tokio::test]
async fn asks_from_the_source_or_says_that_it_cannot() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut target = target(listener.local_addr().unwrap(), Probe::Connect);
    target.source = Some("127.0.0.2".parse().unwrap());
    run(&target, LONG).await.unwrap();
    assert_eq!(listener.accept().await.unwrap().1.ip(), target.source.unwrap());
    target.source = Some("192.0.2.1".parse().unwrap());
    says(&ours(&target, LONG).await, &["cannot be checked from here"]);
}
